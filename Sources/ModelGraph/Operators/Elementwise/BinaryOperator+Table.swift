#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension BinaryOperator {
  static let all: [BinaryOperator] = arithmetic + comparisons + logic

  private static let arithmetic = [
    BinaryOperator("Add", "a + b", since: 14, keepsMasks: true, sizes: { $0.adding($1) }) { $0 + $1 },
    BinaryOperator("Sub", "a - b", since: 14, sizes: { $0.subtracting($1) }) { $0 - $1 },
    BinaryOperator("Mul", "a · b", since: 14, absorption: .product, sizes: { $0.multiplied(by: $1) }) { $0 * $1 },
    BinaryOperator(
      "Div", "a / b", since: 14, absorption: .quotient, sizes: quotient,
      isNonNegative: { $0.isNonNegative && $1.isNonNegative }
    ) { $0 / $1 },
    BinaryOperator(
      "Mod", "the remainder of a / b", since: 13, sizes: remainder,
      isNonNegative: { $0.isNonNegative && $1.isNonNegative }
    ) { fmod($0, $1) },
    BinaryOperator("Pow", "a^b", since: 15, sizes: power) { pow($0, $1) },
    BinaryOperator("PRelu", "a if a ≥ 0 else b·a", since: 16, absorption: .quotient) { $0 >= 0 ? $0 : $1 * $0 },
  ]

  private static let comparisons = [
    BinaryOperator("Equal", "a = b", since: 19, result: .truth, sizes: equal) { $0 == $1 ? 1 : 0 },
    BinaryOperator("Less", "a < b", since: 13, result: .truth, sizes: { less($0, $1) }) { $0 < $1 ? 1 : 0 },
    BinaryOperator("LessOrEqual", "a ≤ b", since: 16, result: .truth, sizes: { not(less($1, $0)) }) {
      $0 <= $1 ? 1 : 0
    },
    BinaryOperator("Greater", "a > b", since: 13, result: .truth, sizes: { less($1, $0) }) { $0 > $1 ? 1 : 0 },
    BinaryOperator("GreaterOrEqual", "a ≥ b", since: 16, result: .truth, sizes: { not(less($0, $1)) }) {
      $0 >= $1 ? 1 : 0
    },
  ]

  private static let logic = [
    BinaryOperator("And", "a and b", since: 7, absorption: .product, result: .truth, isExact: true, sizes: and) {
      $0 != 0 && $1 != 0 ? 1 : 0
    },
    BinaryOperator("Or", "a or b", since: 7, result: .truth, isExact: true, sizes: or) { $0 != 0 || $1 != 0 ? 1 : 0 },
    BinaryOperator("Xor", "a or b, not both", since: 7, result: .truth, isExact: true) {
      ($0 != 0) != ($1 != 0) ? 1 : 0
    },
    BinaryOperator("BitShift", "a shifted by b bits", since: 11, absorption: .quotient) { _, _ in .nan },
    BinaryOperator("BitwiseAnd", "the bits that a and b share", since: 18, absorption: .product) { _, _ in .nan },
    BinaryOperator("BitwiseOr", "the bits of a or b", since: 18) { x, y in x == 0 ? y : y == 0 ? x : .nan },
    BinaryOperator("BitwiseXor", "the bits that differ between a and b", since: 18) { x, y in
      x == 0 ? y : y == 0 ? x : .nan
    },
  ]

  /// Integer division of known numbers cuts toward zero.
  private static func quotient(_ a: Size, _ b: Size) -> Size? {
    if let exact = a.dividedExactly(by: b) { return exact }
    guard let x = a.constant, let y = b.constant, y != 0, x != .min || y != -1 else { return nil }
    return Size(x / y)
  }

  /// Without the attribute `fmod` the remainder has the sign of the divisor; only signs that agree are followed.
  private static func remainder(_ a: Size, _ b: Size) -> Size? {
    if a.isNonNegative, b.isPositive, a.dividedExactly(by: b) != nil { return Size(0) }
    guard let x = a.constant, let y = b.constant, x >= 0, y > 0 else { return nil }
    return Size(x % y)
  }

  private static func power(_ a: Size, _ b: Size) -> Size? {
    guard let exponent = b.constant, (0...8).contains(exponent) else { return nil }
    return Size.product(Array(repeating: a, count: exponent))
  }

  /// Whether sizes are equal, where it is certain for every value of their symbols.
  private static func equal(_ a: Size, _ b: Size) -> Size? {
    guard let difference = a.subtracting(b) else { return nil }
    if difference == Size(0) { return Size(1) }
    if difference.lowerBound.map({ $0 > 0 }) ?? false { return Size(0) }
    if difference.upperBound.map({ $0 < 0 }) ?? false { return Size(0) }
    return nil
  }

  private static func less(_ a: Size, _ b: Size) -> Size? {
    guard let difference = a.subtracting(b) else { return nil }
    if let highest = difference.upperBound, highest < 0 { return Size(1) }
    if let lowest = difference.lowerBound, lowest >= 0 { return Size(0) }
    return nil
  }

  private static func not(_ truth: Size?) -> Size? { truth?.constant.map { Size($0 == 0 ? 1 : 0) } }

  private static func and(_ a: Size, _ b: Size) -> Size? {
    if a == Size(0) || b == Size(0) { return Size(0) }
    return a.constant != nil && b.constant != nil ? Size(1) : nil
  }

  private static func or(_ a: Size, _ b: Size) -> Size? {
    if let x = a.constant, x != 0 { return Size(1) }
    if let y = b.constant, y != 0 { return Size(1) }
    return a.constant != nil && b.constant != nil ? Size(0) : nil
  }
}
