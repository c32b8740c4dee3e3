import PollardBase

extension GGUFHeader {
  /// Reads so many keys with their values.
  static func readMetadata(_ count: Int, _ reader: inout GGUFReader) throws(FormatError) -> GGUFMetadata {
    var metadata = GGUFMetadata()
    for number in 0..<count {
      let start = reader.position
      let key = try reader.name(for: "the name of key \(number)")
      if key.isEmpty {
        throw FormatError(.ggufKeyEmpty, at: .byte(start), expected: "a name for key \(number)")
      }
      if metadata.contains(key) {
        throw FormatError(.ggufKeyDuplicate, subject: .key(key), at: .byte(start))
      }
      do throws(FormatError) { metadata.append(key, try readValue(&reader)) } catch {
        var named = error
        if named.subject == nil { named.subject = .key(key) }
        throw named
      }
    }
    return metadata
  }

  private static func readValue(_ reader: inout GGUFReader) throws(FormatError) -> GGUFValue {
    switch try readType(&reader, isElement: false) {
    case .uint8: return .uint8(try reader.integer(UInt8.self, for: "the value"))
    case .int8: return .int8(try reader.integer(Int8.self, for: "the value"))
    case .uint16: return .uint16(try reader.integer(UInt16.self, for: "the value"))
    case .int16: return .int16(try reader.integer(Int16.self, for: "the value"))
    case .uint32: return .uint32(try reader.integer(UInt32.self, for: "the value"))
    case .int32: return .int32(try reader.integer(Int32.self, for: "the value"))
    case .uint64: return .uint64(try reader.integer(UInt64.self, for: "the value"))
    case .int64: return .int64(try reader.integer(Int64.self, for: "the value"))
    case .float32: return .float32(Float(bitPattern: try reader.integer(UInt32.self, for: "the value")))
    case .float64: return .float64(Double(bitPattern: try reader.integer(UInt64.self, for: "the value")))
    case .bool: return .bool(try reader.integer(UInt8.self, for: "the value") != 0)
    case .string: return .string(ByteString(try reader.string(for: "the string")))
    case .array: return .array(try readArray(&reader))
    }
  }

  private static func readArray(_ reader: inout GGUFReader) throws(FormatError) -> GGUFArray {
    let elementType = try readType(&reader, isElement: true)
    let start = reader.position
    let count = try reader.count(for: "the number of elements")
    guard count <= UInt64(GGUFReader.maximumArrayCount) else {
      throw FormatError(
        .ggufArrayTooLong, at: .byte(start), expected: "at most \(GGUFReader.maximumArrayCount) elements",
        found: "\(count)")
    }
    if let size = elementType.byteCount {
      let bytes = try reader.numbers(Int(count), size: size, for: "the elements")
      return GGUFArray(checked: bytes, elementType: elementType, count: Int(count), anchors: [])
    }
    let (bytes, anchors) = try reader.strings(Int(count), for: "the strings")
    return GGUFArray(checked: bytes, elementType: elementType, count: Int(count), anchors: anchors)
  }

  private static func readType(
    _ reader: inout GGUFReader, isElement: Bool
  ) throws(FormatError) -> GGUFValueType {
    let start = reader.position
    let number = try reader.integer(UInt32.self, for: "the type of the value")
    guard let type = GGUFValueType(rawValue: number) else {
      throw FormatError(.ggufValueTypeUnknown, at: .byte(start), expected: "0 to 12", found: "\(number)")
    }
    if isElement, type == .array { throw FormatError(.ggufArrayNested, at: .byte(start)) }
    return type
  }
}
