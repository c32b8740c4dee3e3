/// A string that is equal to another only when their UTF-8 bytes are.
///
/// Swift's own `==` holds for canonically equivalent strings: "é" in one and in two code points. Names in files are told
/// apart by their bytes, so collections that are keyed by such names use this.
package struct ExactString: Sendable, Hashable {
  /// The string.
  package let text: String

  /// Wraps a string.
  package init(_ text: String) { self.text = text }

  /// Byte equality.
  package static func == (a: Self, b: Self) -> Bool { haveSameBytes(a.text, b.text) }

  /// Hashes the bytes.
  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(0xFF as UInt8)
  }
}

/// Whether two strings have the same UTF-8 bytes.
package func haveSameBytes(_ a: String, _ b: String) -> Bool {
  a.utf8.count == b.utf8.count && a.utf8.elementsEqual(b.utf8)
}

/// Whether one string comes before another in the order of their UTF-8 bytes, which is the order of code points.
package func precedesInByteOrder(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
