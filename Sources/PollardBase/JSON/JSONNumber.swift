/// A JSON number in the spelling of its file.
///
/// `1e-05`, `1E-5` and `0.00001` are the same amount and three different numbers here: what is written back is what was read.
public struct JSONNumber: Sendable, Hashable {
  /// The spelling.
  public let text: String

  /// A number from a spelling that is known to be one.
  package init(spelling text: String) { self.text = text }

  /// A number from JSON's spelling of it, or nil when the text is not a JSON number.
  public init?(_ text: String) {
    var scanner = JSONScanner(Array(text.utf8))
    guard let range = try? scanner.scanNumber(), range == 0..<text.utf8.count else { return nil }
    self.text = text
  }

  /// The number that an integer spells in decimal.
  public init(_ value: Int) { text = String(value) }

  /// The number in the fewest digits that read back as the same double; non-finite values take Python's spelling.
  ///
  /// The form is Python's `repr`: an exponent below 1e-4 and from 1e16, two exponent digits at least.
  public init(_ value: Double) { text = pythonSpelling(of: value) }

  /// The value when it is a whole number that fits; `4.0` and `4e0` count as 4.
  public var intValue: Int? {
    if let exact = Int(text) { return exact }
    guard text.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }),
      let value = Double(text), abs(value) <= 9_007_199_254_740_992
    else { return nil }
    return Int(exactly: value)
  }

  /// The nearest double; infinite when the spelling exceeds the range.
  public var doubleValue: Double { Double(text) ?? .nan }

  /// Whether the spelling is one of Python's `NaN`, `Infinity` and `-Infinity`.
  public var isNonFinite: Bool { text == "NaN" || text == "Infinity" || text == "-Infinity" }

  /// Whether the spelling is that of an integer: no point and no exponent.
  public var isInteger: Bool {
    !isNonFinite && !text.utf8.contains { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }
  }
}

/// Python's `repr` of a double, as `json.dumps` writes it.
private func pythonSpelling(of value: Double) -> String {
  if value.isNaN { return "NaN" }
  if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
  // Swift prints the same shortest digits as Python, but changes to exponents elsewhere and writes them as "1e-05".
  let (sign, digits, exponent) = decimalParts(of: value.description)
  if exponent < -4 || exponent >= 16 {
    let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
    let magnitude = String(abs(exponent))
    let padded = magnitude.utf8.count < 2 ? "0" + magnitude : magnitude
    return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+") + padded
  }
  if exponent < 0 { return sign + "0." + String(repeating: "0", count: -exponent - 1) + digits }
  if digits.count <= exponent + 1 {
    return sign + digits + String(repeating: "0", count: exponent + 1 - digits.count) + ".0"
  }
  return sign + digits.prefix(exponent + 1) + "." + digits.dropFirst(exponent + 1)
}

/// Splits a decimal spelling into its sign, its significant digits and the power of ten of the first of them.
private func decimalParts(of text: String) -> (sign: String, digits: String, exponent: Int) {
  var body = Substring(text)
  let sign = body.hasPrefix("-") ? "-" : ""
  if !sign.isEmpty { body = body.dropFirst() }
  let halves = body.split(separator: "e", maxSplits: 1)
  let written = halves.count > 1 ? Int(halves[1]) ?? 0 : 0
  let mantissa = (halves.first ?? "0").split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
  let whole = mantissa.first.map(String.init) ?? "0"
  let all = whole + (mantissa.count > 1 ? String(mantissa[1]) : "")
  let leadingZeros = all.prefix { $0 == "0" }.count
  var digits = String(all.dropFirst(leadingZeros))
  while digits.hasSuffix("0") { digits.removeLast() }
  if digits.isEmpty { return (sign, "0", 0) }
  return (sign, digits, written + whole.count - 1 - leadingZeros)
}
