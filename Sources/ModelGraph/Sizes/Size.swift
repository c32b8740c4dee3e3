/// A tensor extent that may not be known until the model runs: a polynomial over named sizes.
///
/// `batch`, `past + sequence`, `48` and `12 * batch` are sizes. The ring has addition, subtraction, multiplication, equality and exact
/// division; a computation outside it yields no size at all. Symbols stand for integers from 0 on: the length of a cache may be 0.
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

  /// The most bytes of a symbol's name; what is computed from long names gets a digest instead of them.
  private static let nameLimit = 256

  /// A size named after its computation, such as `Slice(sequence, 3)`: equal computations give equal sizes.
  ///
  /// A name beyond a few hundred bytes is cut, and a digest of all of it takes the place of the rest.
  static func computed(_ operation: String, _ operands: [String]) -> Size {
    let name = "\(operation)(\(operands.joined(separator: ", ")))"
    if name.utf8.count <= nameLimit { return .symbol(name) }
    // FNV-1a, twice with different offsets.
    var digests: [UInt64] = [0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142]
    for byte in name.utf8 {
      for place in digests.indices {
        digests[place] = (digests[place] ^ UInt64(byte)) &* 0x100_0000_01b3 &+ UInt64(place)
      }
    }
    return .symbol("\(operation)(#\(digests.map { String($0, radix: 16) }.joined()))")
  }

  /// The value, when no symbol is involved.
  public var constant: Int? {
    if terms.isEmpty { return 0 }
    return terms.count == 1 ? terms[[]] : nil
  }

  /// The names of the symbols that occur.
  public var symbols: Set<String> { Set(terms.keys.joined()) }

  /// The largest number that the size is certainly not below; nil where a term lowers it.
  public var lowerBound: Int? {
    terms.allSatisfy { $0.key.isEmpty || $0.value > 0 } ? terms[[], default: 0] : nil
  }

  /// The smallest number that the size is certainly not above; nil where a term raises it.
  public var upperBound: Int? {
    terms.allSatisfy { $0.key.isEmpty || $0.value < 0 } ? terms[[], default: 0] : nil
  }

  /// Whether the size is provably greater than zero.
  public var isPositive: Bool { lowerBound.map { $0 > 0 } ?? false }

  /// Whether the size is provably zero or more.
  public var isNonNegative: Bool { lowerBound.map { $0 >= 0 } ?? false }

  /// Polynomials of more terms are not followed.
  private static let termLimit = 256

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
        if monomial.count > 32 { return nil }
        let (sum, overflowOfSum) = result[monomial, default: 0].addingReportingOverflow(product)
        if overflow || overflowOfSum { return nil }
        result[monomial] = sum
      }
    }
    return result.count > Self.termLimit ? nil : Size(terms: result)
  }

  /// The quotient when the division leaves nothing over for every value of the symbols, else nil.
  ///
  /// Long division of polynomials: the leading term of what remains is divided by the leading term of the divisor. Where the divisor is zero
  /// for some values of its symbols the quotient still solves `quotient · divisor = self`.
  public func dividedExactly(by other: Size) -> Size? {
    guard let (divisor, coefficient) = other.leadingTerm else { return nil }
    var rest = self
    var quotient: [Monomial: Int] = [:]
    while let (monomial, value) = rest.leadingTerm {
      guard quotient.count < Self.termLimit, coefficient != -1 || value != .min, value % coefficient == 0,
        let factor = Self.removing(divisor, from: monomial), quotient[factor] == nil
      else { return nil }
      quotient[factor] = value / coefficient
      guard let product = other.multiplied(by: Size(terms: [factor: value / coefficient])),
        let next = rest.subtracting(product)
      else { return nil }
      rest = next
    }
    return Size(terms: quotient)
  }

  /// The term of highest degree, of these the first alphabetically.
  private var leadingTerm: (Monomial, Int)? {
    let first = terms.min {
      $0.key.count != $1.key.count ? $0.key.count > $1.key.count : $0.key.lexicographicallyPrecedes($1.key)
    }
    return first.map { ($0.key, $0.value) }
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
