extension Size {
  /// The size with some symbols replaced by sizes; nil on overflow.
  public func replacing(_ symbols: [String: Size]) -> Size? {
    if symbols.isEmpty || self.symbols.isDisjoint(with: symbols.keys) { return self }
    var result = Size(0)
    for (monomial, coefficient) in terms {
      var product = Size(coefficient)
      for symbol in monomial {
        guard let next = product.multiplied(by: symbols[symbol] ?? .symbol(symbol)) else { return nil }
        product = next
      }
      guard let sum = result.adding(product) else { return nil }
      result = sum
    }
    return result
  }

  /// The symbol, when the size is one symbol and nothing else.
  public var loneSymbol: String? {
    guard terms.count == 1, let (monomial, coefficient) = terms.first, coefficient == 1, monomial.count == 1 else {
      return nil
    }
    return monomial[0]
  }
}
