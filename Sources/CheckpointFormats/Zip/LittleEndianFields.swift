/// Unsigned little-endian numbers at places of a byte array; nil outside it.
struct LittleEndianFields {
  let bytes: [UInt8]

  func number(at offset: Int, size: Int) -> UInt64? {
    guard offset >= 0, size <= bytes.count, offset <= bytes.count - size else { return nil }
    var value: UInt64 = 0
    for place in (offset..<offset + size).reversed() { value = value << 8 | UInt64(bytes[place]) }
    return value
  }

  func integer(at offset: Int, size: Int) -> Int? { number(at: offset, size: size).flatMap { Int(exactly: $0) } }
}
