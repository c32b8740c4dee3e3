/// How the payload of a protobuf record is encoded: the low three bits of its tag.
enum WireType: UInt8 {
  case varint = 0
  case fixed64 = 1
  case delimited = 2
  case groupStart = 3
  case groupEnd = 4
  case fixed32 = 5
}

/// One record of a protobuf message.
struct WireRecord {
  /// The field's number.
  var number = 0
  /// How the payload is encoded.
  var type = WireType.varint
  /// The whole record: tag, length and payload; a group with its end tag.
  var range = 0..<0
  /// The payload of a delimited record.
  var content = 0..<0
  /// A varint's value, or the bits of a fixed one.
  var value: UInt64 = 0
}

/// Numbers of the protobuf encoding.
enum WireFormat {
  /// The longest message, and the longest length of a record, that official parsers take.
  static let maximumLength = (1 << 31) - 1
  /// The messages and groups inside the outermost message, one in the other, that official parsers take.
  static let maximumDepth = 100

  /// The bytes of a value as a varint.
  static func size(ofVarint value: UInt64) -> Int { value == 0 ? 1 : (70 - value.leadingZeroBitCount) / 7 }

  /// The bytes of a field's tag.
  static func size(ofTag number: Int) -> Int { size(ofVarint: UInt64(number) << 3) }

  /// Appends a value as a varint.
  static func append(varint value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// Appends a field's tag.
  static func append(tag number: Int, _ type: WireType, to bytes: inout [UInt8]) {
    append(varint: UInt64(number) << 3 | UInt64(type.rawValue), to: &bytes)
  }
}
