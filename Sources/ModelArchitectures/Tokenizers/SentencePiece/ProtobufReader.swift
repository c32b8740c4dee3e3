import PollardBase

/// Reads the fields of a protobuf message, one after the other.
///
/// Every length is checked against the bytes that are left, so nothing is allocated or read by a file's claim alone.
struct ProtobufReader {
  /// A field's value on the wire.
  enum Value {
    /// Wire type 0.
    case varint(UInt64)
    /// Wire type 1.
    case fixed64(UInt64)
    /// Wire type 2.
    case bytes(Range<Int>)
    /// Wire type 5.
    case fixed32(UInt32)
  }

  let bytes: [UInt8]
  private(set) var position: Int
  private let end: Int

  init(_ bytes: [UInt8]) { self.init(bytes, in: 0..<bytes.count) }

  /// Reads the message that fills a range of the bytes.
  init(_ bytes: [UInt8], in range: Range<Int>) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  /// The next field's number and value, or nil at the end of the message.
  ///
  /// - Throws: `malformedTokenizer` with the byte.
  mutating func next() throws(FormatError) -> (number: UInt64, value: Value)? {
    guard position < end else { return nil }
    let start = position
    let tag = try varint()
    guard tag >> 3 > 0, tag <= 0xFFFF_FFFF else { throw malformed(start, "a field number from 1 to 536870911") }
    switch tag & 7 {
    case 0: return (tag >> 3, .varint(try varint()))
    case 1: return (tag >> 3, .fixed64(try fixed(8)))
    case 2:
      let lengthStart = position
      let length = try varint()
      guard length <= UInt64(end - position) else {
        throw malformed(lengthStart, "at most \(end - position) bytes", found: "a field of \(length) bytes")
      }
      let range = position..<position + Int(length)
      position = range.upperBound
      return (tag >> 3, .bytes(range))
    case 5: return (tag >> 3, .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
    default: throw malformed(start, "wire type 0, 1, 2 or 5", found: "wire type \(tag & 7)")
    }
  }

  private mutating func varint() throws(FormatError) -> UInt64 {
    let start = position
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < end else { throw malformed(start, "a number", found: "the end of the message") }
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw malformed(start, "a number of at most 10 bytes")
  }

  private mutating func fixed(_ count: Int) throws(FormatError) -> UInt64 {
    guard end - position >= count else {
      throw malformed(position, "\(count) bytes", found: "\(end - position) bytes")
    }
    var value: UInt64 = 0
    for offset in (0..<count).reversed() { value = value << 8 | UInt64(bytes[position + offset]) }
    position += count
    return value
  }

  /// The string that fills a range.
  ///
  /// - Throws: `malformedTokenizer` when the bytes are not UTF-8.
  func text(_ range: Range<Int>) throws(FormatError) -> String {
    guard let text = String(validating: bytes[range], as: UTF8.self) else {
      throw malformed(range.lowerBound, "text in UTF-8")
    }
    return text
  }

  /// An error at a byte.
  func malformed(_ offset: Int, _ expected: String, found: String? = nil) -> FormatError {
    FormatError(.malformedTokenizer, at: .byte(offset), expected: expected, found: found)
  }
}
