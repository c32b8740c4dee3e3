/// Reads the tokens of a JSON text (RFC 8259) from bytes, one after the other.
///
/// The general parser and the safetensors header parser both stand on it. The bytes must have passed
/// `firstInvalidUTF8Offset`: the scanner copies string bytes without looking at their encoding.
package struct JSONScanner {
  /// The text.
  package let bytes: [UInt8]
  /// The offset of the next byte.
  package private(set) var position = 0
  /// How many containers may be open at once.
  package let depthLimit: Int
  /// Whether Python's `NaN`, `Infinity` and `-Infinity` count as numbers.
  package let allowsNonFinite: Bool
  private var depth = 0

  /// A scanner at the first byte.
  package init(_ bytes: [UInt8], depthLimit: Int = 128, allowingNonFinite: Bool = false) {
    self.bytes = bytes
    self.depthLimit = depthLimit
    self.allowsNonFinite = allowingNonFinite
  }

  /// The next byte that is not white space, without consuming it; nil at the end.
  package mutating func peek() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      case let byte: return byte
      }
    }
    return nil
  }

  /// Consumes one structural byte.
  package mutating func expect(_ byte: UInt8) throws(FormatError) {
    guard peek() == byte else { throw unexpected("\"\(Character(UnicodeScalar(byte)))\"") }
    position += 1
  }

  /// Consumes a structural byte if it is next.
  package mutating func consume(_ byte: UInt8) -> Bool {
    guard peek() == byte else { return false }
    position += 1
    return true
  }

  /// Consumes an opening bracket; `false` when the container ends at once.
  package mutating func open(_ bracket: UInt8) throws(FormatError) -> Bool {
    try expect(bracket)
    depth += 1
    if depth > depthLimit {
      throw FormatError(.nestingTooDeep, at: .byte(position - 1), expected: "at most \(depthLimit) levels")
    }
    if consume(bracket + 2) {
      depth -= 1
      return false
    }
    return true
  }

  /// After an element: consumes a comma and gives `true`, or the closing bracket and gives `false`.
  package mutating func next(_ bracket: UInt8) throws(FormatError) -> Bool {
    if consume(UInt8(ascii: ",")) {
      if peek() == bracket + 2 { throw unexpected("an element after the comma") }
      return true
    }
    guard consume(bracket + 2) else {
      throw unexpected("\",\" or \"\(Character(UnicodeScalar(bracket + 2)))\"")
    }
    depth -= 1
    return false
  }

  /// Checks that only white space is left.
  package mutating func expectEnd() throws(FormatError) {
    if peek() != nil { throw unexpected("the end of the text") }
  }

  /// Consumes `null`, `true` or `false`.
  package mutating func expectWord(_ word: StaticString) throws(FormatError) {
    let matches = word.withUTF8Buffer { text in
      bytes.count - position >= text.count && bytes[position..<position + text.count].elementsEqual(text)
    }
    guard matches else { throw unexpected(word.description) }
    position += word.utf8CodeUnitCount
  }

  /// An error at the next byte that names it.
  package func unexpected(_ expected: String) -> FormatError {
    FormatError(.malformedJSON, at: .byte(position), expected: expected, found: describedByte(at: position))
  }

  private func describedByte(at offset: Int) -> String {
    guard offset < bytes.count else { return "the end of the text" }
    let byte = bytes[offset]
    if byte > 0x20 && byte < 0x7F { return "\"\(Character(UnicodeScalar(byte)))\"" }
    let digits = String(byte, radix: 16, uppercase: true)
    return "byte 0x" + (digits.utf8.count < 2 ? "0" : "") + digits
  }
}

// MARK: - Strings

extension JSONScanner {
  /// Consumes a string and appends its unescaped bytes.
  package mutating func scanString(into output: inout [UInt8]) throws(FormatError) {
    let start = position
    guard peek() == UInt8(ascii: "\"") else { throw unexpected("a string") }
    position += 1
    while true {
      let runStart = position
      while position < bytes.count, bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\""),
        bytes[position] != UInt8(ascii: "\\")
      {
        position += 1
      }
      output.append(contentsOf: bytes[runStart..<position])
      guard position < bytes.count else {
        throw FormatError(
          .malformedJSON, at: .byte(start), expected: "a closing quotation mark", found: "the end of the text")
      }
      switch bytes[position] {
      case UInt8(ascii: "\""):
        position += 1
        return
      case UInt8(ascii: "\\"): try scanEscape(into: &output)
      default: throw unexpected("an escape instead of a raw control character")
      }
    }
  }

  /// Consumes a string.
  package mutating func scanString() throws(FormatError) -> String {
    var unescaped: [UInt8] = []
    try scanString(into: &unescaped)
    return String(decoding: unescaped, as: UTF8.self)
  }

  private mutating func scanEscape(into output: inout [UInt8]) throws(FormatError) {
    let start = position
    position += 1
    guard position < bytes.count else { throw unexpected("an escape") }
    switch bytes[position] {
    case UInt8(ascii: "\""): output.append(UInt8(ascii: "\""))
    case UInt8(ascii: "\\"): output.append(UInt8(ascii: "\\"))
    case UInt8(ascii: "/"): output.append(UInt8(ascii: "/"))
    case UInt8(ascii: "b"): output.append(0x08)
    case UInt8(ascii: "f"): output.append(0x0C)
    case UInt8(ascii: "n"): output.append(0x0A)
    case UInt8(ascii: "r"): output.append(0x0D)
    case UInt8(ascii: "t"): output.append(0x09)
    case UInt8(ascii: "u"):
      position += 1
      try scanUnicodeEscape(from: start, into: &output)
      return
    default: throw unexpected("an escape")
    }
    position += 1
  }

  private mutating func scanUnicodeEscape(from start: Int, into output: inout [UInt8]) throws(FormatError) {
    var value = try scanFourHexDigits()
    if (0xD800..<0xDC00).contains(value), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
      bytes[position + 1] == UInt8(ascii: "u")
    {
      position += 2
      let low = try scanFourHexDigits()
      if (0xDC00..<0xE000).contains(low) { value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00) }
    }
    guard let scalar = UnicodeScalar(value) else {
      throw FormatError(
        .malformedJSON, at: .byte(start), expected: "a Unicode character",
        found: "half a surrogate pair, \\u" + String(value, radix: 16))
    }
    output.append(contentsOf: Array(String(Character(scalar)).utf8))
  }

  private mutating func scanFourHexDigits() throws(FormatError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count else { throw unexpected("four hexadecimal digits") }
      switch bytes[position] {
      case let byte where (0x30...0x39).contains(byte): value = value << 4 | UInt32(byte - 0x30)
      case let byte where (0x61...0x66).contains(byte | 0x20): value = value << 4 | UInt32((byte | 0x20) - 0x61 + 10)
      default: throw unexpected("four hexadecimal digits")
      }
      position += 1
    }
    return value
  }
}

// MARK: - Numbers and skipped values

extension JSONScanner {
  /// Consumes a number and gives the range of its spelling.
  package mutating func scanNumber() throws(FormatError) -> Range<Int> {
    _ = peek()
    let start = position
    if allowsNonFinite, position < bytes.count {
      for word: StaticString in ["NaN", "Infinity", "-Infinity"] where matches(word) {
        position += word.utf8CodeUnitCount
        return start..<position
      }
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: "-") { position += 1 }
    if position < bytes.count, bytes[position] == UInt8(ascii: "0") {
      position += 1
      if isDigit(position) { throw unexpected("no digit after a leading zero") }
    } else {
      try scanDigits(or: position == start ? "a value" : "a digit")
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
      position += 1
      try scanDigits()
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
        position += 1
      }
      try scanDigits()
    }
    return start..<position
  }

  /// Consumes an integer from 0 up to 2⁶⁴ − 1, spelled without sign, point or exponent.
  package mutating func scanUnsigned() throws(FormatError) -> UInt64 {
    _ = peek()
    let start = position
    let range = try scanNumber()
    var value: UInt64 = 0
    for offset in range {
      let digit = bytes[offset] &- UInt8(ascii: "0")
      let (product, high) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
      guard digit < 10, !high, !carry else {
        throw FormatError(
          .malformedJSON, at: .byte(start), expected: "a whole number from 0 to 18446744073709551615",
          found: String(decoding: bytes[range].prefix(40), as: UTF8.self))
      }
      value = sum
    }
    return value
  }

  /// Consumes any value and forgets it; its syntax and its depth are checked.
  package mutating func skipValue() throws(FormatError) {
    switch peek() {
    case UInt8(ascii: "{"):
      var more = try open(UInt8(ascii: "{"))
      while more {
        var key: [UInt8] = []
        try scanString(into: &key)
        try expect(UInt8(ascii: ":"))
        try skipValue()
        more = try next(UInt8(ascii: "{"))
      }
    case UInt8(ascii: "["):
      var more = try open(UInt8(ascii: "["))
      while more {
        try skipValue()
        more = try next(UInt8(ascii: "["))
      }
    case UInt8(ascii: "\""):
      var text: [UInt8] = []
      try scanString(into: &text)
    case UInt8(ascii: "n"): try expectWord("null")
    case UInt8(ascii: "t"): try expectWord("true")
    case UInt8(ascii: "f"): try expectWord("false")
    default:
      let range = try scanNumber()
      guard let value = Double(String(decoding: bytes[range], as: UTF8.self)), value.isFinite || allowsNonFinite else {
        throw FormatError(.malformedJSON, at: .byte(range.lowerBound), expected: "a number a double can hold")
      }
    }
  }

  private func isDigit(_ offset: Int) -> Bool { offset < bytes.count && bytes[offset] &- UInt8(ascii: "0") < 10 }

  private mutating func scanDigits(or expected: String = "a digit") throws(FormatError) {
    guard isDigit(position) else { throw unexpected(expected) }
    while isDigit(position) { position += 1 }
  }

  private func matches(_ word: StaticString) -> Bool {
    word.withUTF8Buffer { text in
      bytes.count - position >= text.count && bytes[position..<position + text.count].elementsEqual(text)
    }
  }
}
