/// A tensor extent that may not be known until the model runs: a polynomial over named sizes.
///
/// `batch`, `past + sequence`, `48` and `12 * batch` are sizes. The ring has addition, subtraction, multiplication, equality and exact
/// division; a computation outside it yields no size at all. Symbols stand for positive integers.
public struct Size: Sendable, Hashable {
  /// A product of symbols, sorted, with repetition for powers; empty for the constant term.
  typealias Monomial = [String]
  /// Coefficients by monomial; no coefficient is zero.
  private(set) var terms: [Monomial: Int]

  private init(terms: [Monomial: Int]) { self.terms = terms.filter { $0.value != 0 } }

  /// A known size.
  public init(_ value: Int) { self.init(terms: [[]: value]) }

  /// A named size, such as `batch`.
  public static func symbol(_ name: String) -> Size { Size(terms: [[name]: 1]) }

  /// The value, when no symbol is involved.
  public var constant: Int? {
    if terms.isEmpty { return 0 }
    return terms.count == 1 ? terms[[]] : nil
  }

  /// The names of the symbols that occur.
  public var symbols: Set<String> { Set(terms.keys.joined()) }

  /// Whether the size is provably greater than zero, its symbols being positive.
  public var isPositive: Bool { !terms.isEmpty && terms.values.allSatisfy { $0 > 0 } }

  /// The sum, or nil when a coefficient overflows.
  public func adding(_ other: Size) -> Size? {
    var terms = terms
    for (monomial, coefficient) in other.terms {
      let (sum, overflow) = terms[monomial, default: 0].addingReportingOverflow(coefficient)
      if overflow { return nil }
      terms[monomial] = sum
    }
    return Size(terms: terms)
  }

  /// The difference, or nil when a coefficient overflows.
  public func subtracting(_ other: Size) -> Size? { other.multiplied(by: Size(-1)).flatMap(adding) }

  /// The product, or nil when a coefficient overflows.
  public func multiplied(by other: Size) -> Size? {
    var result: [Monomial: Int] = [:]
    for (a, x) in terms {
      for (b, y) in other.terms {
        let (product, overflow) = x.multipliedReportingOverflow(by: y)
        let monomial = (a + b).sorted()
        let (sum, overflowOfSum) = result[monomial, default: 0].addingReportingOverflow(product)
        if overflow || overflowOfSum { return nil }
        result[monomial] = sum
      }
    }
    return Size(terms: result)
  }

  /// The quotient when the division leaves nothing over for every value of the symbols, else nil.
  ///
  /// Only divisors of a single term are divided by, besides division of equals; both suffice for shapes.
  public func dividedExactly(by other: Size) -> Size? {
    if self == other, isPositive { return Size(1) }
    guard other.terms.count == 1, let (divisor, coefficient) = other.terms.first, coefficient != 0 else { return nil }
    var result: [Monomial: Int] = [:]
    for (monomial, value) in terms {
      guard value % coefficient == 0, let rest = Self.removing(divisor, from: monomial) else { return nil }
      result[rest] = value / coefficient
    }
    return Size(terms: result)
  }

  private static func removing(_ divisor: Monomial, from monomial: Monomial) -> Monomial? {
    var rest = monomial
    for symbol in divisor {
      guard let index = rest.firstIndex(of: symbol) else { return nil }
      rest.remove(at: index)
    }
    return rest
  }

  /// The value once every symbol has one; nil when a symbol is missing or the arithmetic overflows.
  public func evaluated(_ values: [String: Int]) -> Int? {
    var total = 0
    for (monomial, coefficient) in terms {
      var product = coefficient
      for symbol in monomial {
        guard let value = values[symbol] else { return nil }
        let (next, overflow) = product.multipliedReportingOverflow(by: value)
        if overflow { return nil }
        product = next
      }
      let (sum, overflow) = total.addingReportingOverflow(product)
      if overflow { return nil }
      total = sum
    }
    return total
  }

  /// The product of several sizes, or nil on overflow; 1 for none.
  public static func product(_ sizes: some Sequence<Size>) -> Size? {
    var result = Size(1)
    for size in sizes {
      guard let next = result.multiplied(by: size) else { return nil }
      result = next
    }
    return result
  }
}

extension Size: CustomStringConvertible, ExpressibleByIntegerLiteral {
  /// A known size from a literal.
  public init(integerLiteral value: Int) { self.init(value) }

  /// The polynomial as text, terms in a fixed order: `2*batch*sequence+1`.
  public var description: String {
    if terms.isEmpty { return "0" }
    let ordered = terms.sorted {
      ($1.key.count, $0.key.joined(separator: "*")) < ($0.key.count, $1.key.joined(separator: "*"))
    }
    var text = ""
    for (monomial, coefficient) in ordered {
      let factors = monomial.joined(separator: "*")
      let magnitude = coefficient.magnitude
      let body = factors.isEmpty ? "\(magnitude)" : magnitude == 1 ? factors : "\(magnitude)*\(factors)"
      text += coefficient < 0 ? "-" + body : (text.isEmpty ? body : "+" + body)
    }
    return text
  }
}
