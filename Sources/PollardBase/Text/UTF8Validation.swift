/// The offset of the first byte that is not part of well-formed UTF-8, or nil when all bytes are.
///
/// Overlong forms, surrogates and values above U+10FFFF are refused (Unicode 16.0, table 3-7).
///
/// - Complexity: O(n); runs of ASCII are passed eight bytes at a time.
package func firstInvalidUTF8Offset(_ bytes: UnsafeRawBufferPointer) -> Int? {
  let count = bytes.count
  var position = 0
  while position < count {
    while position + 8 <= count,
      bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
    {
      position += 8
    }
    guard position < count else { return nil }
    let lead = bytes[position]
    if lead < 0x80 {
      position += 1
      continue
    }
    guard let length = sequenceLength(of: bytes, at: position) else { return position }
    position += length
  }
  return nil
}

/// The length of the multi-byte sequence that starts at a position, or nil when it is ill-formed or cut off.
private func sequenceLength(of bytes: UnsafeRawBufferPointer, at position: Int) -> Int? {
  let lead = bytes[position]
  let length: Int
  let second: ClosedRange<UInt8>
  switch lead {
  case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
  case 0xE0: (length, second) = (3, 0xA0...0xBF)
  case 0xED: (length, second) = (3, 0x80...0x9F)
  case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
  case 0xF0: (length, second) = (4, 0x90...0xBF)
  case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
  case 0xF4: (length, second) = (4, 0x80...0x8F)
  default: return nil
  }
  guard position + length <= bytes.count, second.contains(bytes[position + 1]) else { return nil }
  for index in 2..<4 where index < length {
    guard (0x80...0xBF).contains(bytes[position + index]) else { return nil }
  }
  return length
}
