/// GPT-2's alphabet of printable characters for the 256 bytes.
///
/// Bytes that Latin-1 prints stand for themselves (0x21-0x7E, 0xA1-0xAC, 0xAE-0xFF); the other 68 take U+0100 on in ascending
/// order. Source: Radford et al. 2019, `encoder.py : bytes_to_unicode`.
enum ByteAlphabet {
  /// The scalar of each byte.
  static let scalars: [UnicodeScalar] = {
    var next: UInt32 = 0x100
    return (UInt8.min...UInt8.max).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return UnicodeScalar(byte)
      default:
        defer { next += 1 }
        return UnicodeScalar(next) ?? " "
      }
    }
  }()

  private static let bytes: [UnicodeScalar: UInt8] = {
    var result: [UnicodeScalar: UInt8] = [:]
    for (byte, scalar) in scalars.enumerated() { result[scalar] = UInt8(truncatingIfNeeded: byte) }
    return result
  }()

  /// Bytes as text of the alphabet.
  static func encoded(_ text: some Sequence<UInt8>) -> String {
    var result = ""
    for byte in text { result.unicodeScalars.append(scalars[Int(byte)]) }
    return result
  }

  /// The bytes that a text of the alphabet stands for, or nil when it holds another character.
  static func decodedBytes(_ text: String) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in text.unicodeScalars {
      guard let byte = bytes[scalar] else { return nil }
      result.append(byte)
    }
    return result
  }

  /// The text that a text of the alphabet stands for, invalid UTF-8 replaced; nil when it holds another character.
  static func decoded(_ text: String) -> String? { decodedBytes(text).map { String(decoding: $0, as: UTF8.self) } }
}
