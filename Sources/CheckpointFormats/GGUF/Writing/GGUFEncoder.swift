import PollardBase

/// Puts the fields of a GGUF header one after the other.
struct GGUFEncoder {
  private(set) var bytes: [UInt8] = []
  let byteOrder: GGUFByteOrder
  let hasShortCounts: Bool

  init(version: Int, byteOrder: GGUFByteOrder) {
    self.byteOrder = byteOrder
    hasShortCounts = version == 1
    bytes += Array("GGUF".utf8)
    append(UInt32(truncatingIfNeeded: version))
  }

  mutating func append<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: byteOrder == .little ? value.littleEndian : value.bigEndian) {
      bytes.append(contentsOf: $0)
    }
  }

  /// A length, a count or an extent.
  mutating func append(count: Int) {
    if hasShortCounts { append(UInt32(truncatingIfNeeded: count)) } else { append(UInt64(count)) }
  }

  mutating func append(_ text: some Collection<UInt8>) {
    append(count: text.count)
    bytes.append(contentsOf: text)
  }

  mutating func append(_ entry: GGUFMetadata.Entry) {
    append(entry.key.utf8)
    append(entry.value.type.rawValue)
    switch entry.value {
    case .uint8(let value): append(value)
    case .int8(let value): append(value)
    case .uint16(let value): append(value)
    case .int16(let value): append(value)
    case .uint32(let value): append(value)
    case .int32(let value): append(value)
    case .uint64(let value): append(value)
    case .int64(let value): append(value)
    case .float32(let value): append(value.bitPattern)
    case .float64(let value): append(value.bitPattern)
    case .bool(let value): append(value ? 1 as UInt8 : 0)
    case .string(let value): append(value.bytes)
    case .array(let array): append(array)
    }
  }

  private mutating func append(_ array: GGUFArray) {
    append(array.elementType.rawValue)
    append(count: array.count)
    if byteOrder == .little, !hasShortCounts {
      bytes.append(contentsOf: array.bytes)
    } else if let size = array.elementType.byteCount {
      let start = bytes.count
      bytes.append(contentsOf: array.bytes)
      guard byteOrder == .big, size > 1 else { return }
      for element in stride(from: start, to: bytes.count, by: size) { bytes[element..<element + size].reverse() }
    } else {
      var copy = self
      array.forEachString { _, text in copy.append(text) }
      self = copy
    }
  }

  mutating func pad(to count: Int) {
    bytes.append(contentsOf: repeatElement(0, count: max(0, count - bytes.count)))
  }
}
