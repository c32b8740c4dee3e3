/// A string of bytes that a file uses as a name: UTF-8 by convention, told apart by its bytes alone.
///
/// Swift's `String` finds canonically equivalent names equal and repairs invalid UTF-8; formats do neither.
public struct ByteString: Sendable, Hashable, Comparable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The bytes as the file has them.
  public let bytes: [UInt8]

  /// Wraps bytes, which need not be UTF-8.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The UTF-8 of a string.
  public init(_ text: String) { bytes = Array(text.utf8) }

  /// The UTF-8 of a literal.
  public init(stringLiteral text: String) { self.init(text) }

  /// Whether there are no bytes.
  public var isEmpty: Bool { bytes.isEmpty }

  /// The text, or nil when the bytes are not UTF-8.
  public var text: String? { String(validating: bytes, as: UTF8.self) }

  /// The text for messages; invalid UTF-8 shows as replacement characters.
  public var description: String { String(decoding: bytes, as: UTF8.self) }

  /// Hashes the bytes.
  public func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    hasher.combine(bytes.count)
  }

  /// The order of the bytes.
  public static func < (a: Self, b: Self) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
}
