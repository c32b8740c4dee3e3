/// The number of a factor in its table.
public struct FactorID: Sendable, Hashable {
  /// The index in the table; several factors may have been found equal since.
  public let index: Int
}

/// An axis as a product of factors, most significant first. An axis of extent 1 has no factors.
public typealias Axis = [FactorID]

/// Why positions along a factor cannot be removed, and which node says so.
public struct Pin: Sendable, Hashable {
  /// The reason, for the report.
  public var reason: PinReason
  /// The index of the node, or nil for the graph's own interface.
  public var node: Int?

  /// Creates a pin.
  public init(_ reason: PinReason, node: Int?) {
    self.reason = reason
    self.node = node
  }
}

/// The reasons for which positions along an axis must stay.
public enum PinReason: String, Sendable, Hashable, CaseIterable {
  /// A normalisation takes statistics over the axis.
  case norm = "normalised over"
  /// A softmax runs over the axis.
  case softmax = "softmax over"
  /// Positions are selected by index.
  case gathered = "gathered by index"
  /// A rotation mixes pairs of positions.
  case rotary = "rotated in pairs"
  /// The attention scale is derived from the extent.
  case implicitScale = "extent sets the attention scale"
  /// The extent is used as a number.
  case sizeAsValue = "extent used as a number"
  /// A reduction or scan runs over the axis.
  case reduced = "reduced over"
  /// Numbers are quantised together in blocks of this extent.
  case block = "quantised in blocks"
  /// The caller provides the axis.
  case graphInput = "graph input"
  /// The caller sees the axis.
  case graphOutput = "graph output"
  /// The operator does not say what happens along the axis.
  case undescribed = "operator does not describe the axis"
  /// Extents that should agree are not provably equal.
  case unequal = "extents not provably equal"

  /// Whether a caller who accepts a changed interface may lift the pin.
  public var isSoft: Bool { self == .graphInput || self == .graphOutput }
}

/// Classes of axis factors that must shrink together: a union-find forest whose classes split into products or sums.
///
/// 768 split into heads is `product[12, 64]`; a fused query-key-value axis is `sum[q, k, v]`. Structure is filled in when a Reshape or
/// Split reveals it, so nothing is visited twice. Whatever does not fit ends in a pin: a missed dimension, never a wrong cut.
public struct FactorTable: Sendable {
  /// What a factor is made of.
  public enum Parts: Sendable, Hashable {
    /// Not known to be made of anything.
    case leaf
    /// A mixed-radix product, most significant first.
    case product([FactorID])
    /// Ranges one after the other.
    case sum([FactorID])
  }

  private struct Entry: Sendable {
    var size: Size
    var parent: Int
    var parts: Parts
    var pins: [Pin]
    /// The height of the tree of merged factors below, so that chains stay short.
    var height = 0
  }

  private var entries: [Entry] = []

  /// An empty table.
  public init() {}

  /// A new factor, equal to nothing yet.
  public mutating func make(_ size: Size) -> FactorID {
    entries.append(Entry(size: size, parent: entries.count, parts: .leaf, pins: []))
    return FactorID(index: entries.count - 1)
  }

  /// A new axis: no factors for extent 1, else one.
  public mutating func makeAxis(_ size: Size) -> Axis { size == Size(1) ? [] : [make(size)] }

  /// The representative of a factor's class.
  public func root(_ id: FactorID) -> FactorID {
    var index = id.index
    while entries[index].parent != index { index = entries[index].parent }
    return FactorID(index: index)
  }

  /// The extent of a factor.
  public func size(_ id: FactorID) -> Size { entries[root(id).index].size }

  /// What a factor's class is made of.
  public func parts(_ id: FactorID) -> Parts { entries[root(id).index].parts }

  /// The extent of an axis, nil when the product overflows.
  public func size(of axis: Axis) -> Size? { Size.product(axis.map(size)) }

  /// The pins that sit directly on a factor's class.
  public func pins(_ id: FactorID) -> [Pin] { entries[root(id).index].pins }

  /// Every class representative.
  public var roots: [FactorID] { entries.indices.filter { entries[$0].parent == $0 }.map(FactorID.init) }

  /// The axis with products spelled out and representatives in place; sums stay whole.
  public func flattened(_ axis: Axis) -> Axis {
    axis.flatMap { id -> Axis in
      let id = root(id)
      if entries[id.index].size == Size(1) { return [] }
      if case .product(let parts) = entries[id.index].parts { return flattened(parts) }
      return [id]
    }
  }

  /// Every leaf class below a factor, itself if it is one.
  public func leaves(_ id: FactorID) -> [FactorID] {
    let id = root(id)
    switch entries[id.index].parts {
    case .leaf: return [id]
    case .product(let parts), .sum(let parts): return parts.flatMap(leaves)
    }
  }

  /// Pins every factor of an axis.
  public mutating func pin(_ axis: Axis, _ pin: Pin) {
    for id in axis {
      let index = root(id).index
      if !entries[index].pins.contains(pin) { entries[index].pins.append(pin) }
    }
  }

  /// Pins of each leaf class, including those inherited from what contains it.
  public func leafPins() -> [FactorID: [Pin]] {
    var result: [FactorID: [Pin]] = [:]
    for id in roots where !entries[id.index].pins.isEmpty {
      for leaf in leaves(id) {
        for pin in entries[id.index].pins where !result[leaf, default: []].contains(pin) {
          result[leaf, default: []].append(pin)
        }
      }
    }
    return result
  }

  /// Makes two axes the same, position by position in row-major order.
  public mutating func unify(_ first: Axis, _ second: Axis, node: Int) {
    var a = flattened(first)
    var b = flattened(second)
    guard let sizeA = size(of: a), let sizeB = size(of: b), sizeA == sizeB else {
      return unifyEnds(a, b, node: node)
    }
    while let x = a.first, let y = b.first {
      if root(x) == root(y) {
        a.removeFirst()
        b.removeFirst()
      } else if size(x) == size(y) {
        a.removeFirst()
        b.removeFirst()
        unify(x, y, node: node)
        a = flattened(a)
        b = flattened(b)
      } else if let rest = size(x).dividedExactly(by: size(y)), parts(x) == .leaf, !contains(y, x) {
        let remainder = make(rest)
        entries[root(x).index].parts = .product([y, remainder])
        a = flattened(a)
        b = flattened(b)
      } else if let rest = size(y).dividedExactly(by: size(x)), parts(y) == .leaf, !contains(x, y) {
        let remainder = make(rest)
        entries[root(y).index].parts = .product([x, remainder])
        a = flattened(a)
        b = flattened(b)
      } else if case .sum(let pieces) = parts(y), let count = prefix(of: a, equalTo: size(y)) {
        let product = Array(a[..<count])
        a.removeFirst(count)
        b.removeFirst()
        cut(product, into: pieces, node: node)
        a = flattened(a)
        b = flattened(b)
      } else if case .sum(let pieces) = parts(x), let count = prefix(of: b, equalTo: size(x)) {
        let product = Array(b[..<count])
        b.removeFirst(count)
        a.removeFirst()
        cut(product, into: pieces, node: node)
        a = flattened(a)
        b = flattened(b)
      } else {
        pin(a + b, Pin(.unequal, node: node))
        return
      }
    }
    if !(a + b).isEmpty { pin(a + b, Pin(.unequal, node: node)) }
  }

  /// Makes the same what two axes of extents not provably equal have in common at their ends, and pins the rest.
  ///
  /// When the model runs the extents are equal, or the model fails: then equal factors at the end are the same remainder of a position, and
  /// equal factors at the beginning the same quotient. An axis that a factor above 1 divides is not one that is repeated.
  private mutating func unifyEnds(_ first: Axis, _ second: Axis, node: Int) {
    var a = first
    var b = second
    let isSymbolic = size(of: a).map { $0.constant == nil } ?? false || size(of: b).map { $0.constant == nil } ?? false
    while isSymbolic, let x = a.last, let y = b.last, a.count + b.count > 2 {
      if root(x) == root(y) {
        a.removeLast()
        b.removeLast()
      } else if size(x) == size(y), size(x).constant != nil {
        a.removeLast()
        b.removeLast()
        unify(x, y, node: node)
        a = flattened(a)
        b = flattened(b)
      } else if let large = size(x).constant, let small = size(y).constant, small > 1, large % small == 0,
        parts(x) == .leaf, !contains(y, x)
      {
        let remainder = make(Size(large / small))
        entries[root(x).index].parts = .product([remainder, y])
        a = flattened(a)
        b = flattened(b)
      } else if let small = size(x).constant, let large = size(y).constant, small > 1, large % small == 0,
        parts(y) == .leaf, !contains(x, y)
      {
        let remainder = make(Size(large / small))
        entries[root(y).index].parts = .product([remainder, x])
        a = flattened(a)
        b = flattened(b)
      } else {
        break
      }
    }
    pin(a + b, Pin(.unequal, node: node))
  }

  /// The number of leading factors whose product is a given extent.
  private func prefix(of axis: Axis, equalTo size: Size) -> Int? {
    var product = Size(1)
    for (index, factor) in axis.enumerated() {
      guard let next = product.multiplied(by: self.size(factor)) else { return nil }
      product = next
      if product == size { return index + 1 }
    }
    return nil
  }

  /// Makes two factors of equal size the same.
  private mutating func unify(_ x: FactorID, _ y: FactorID, node: Int) {
    var a = root(x)
    var b = root(y)
    if a == b { return }
    if entries[a.index].height < entries[b.index].height { swap(&a, &b) }
    if contains(a, b) || contains(b, a) {
      pin([a, b], Pin(.unequal, node: node))
      return
    }
    let partsA = entries[a.index].parts
    let partsB = entries[b.index].parts
    entries[b.index].parent = a.index
    entries[a.index].height = max(entries[a.index].height, entries[b.index].height + 1)
    for pin in entries[b.index].pins where !entries[a.index].pins.contains(pin) { entries[a.index].pins.append(pin) }
    switch (partsA, partsB) {
    case (_, .leaf): break
    case (.leaf, _): entries[a.index].parts = partsB
    case (.product(let p), .product(let q)): unify(p, q, node: node)
    case (.sum(let p), .sum(let q)): unifySums(p, q, node: node)
    case (.product(let p), .sum(let s)): cut(p, into: s, node: node)
    case (.sum(let s), .product(let p)):
      entries[a.index].parts = partsB
      cut(p, into: s, node: node)
    }
  }

  /// Makes an axis the concatenation of pieces.
  public mutating func unify(_ whole: Axis, sumOf pieces: [Axis], node: Int) {
    let flat = flattened(whole)
    if pieces.count == 1 { return unify(flat, pieces[0], node: node) }
    var factors: [FactorID] = []
    for piece in pieces {
      let piece = flattened(piece)
      if piece.count == 1 {
        factors.append(piece[0])
      } else {
        guard let size = size(of: piece) else {
          pin(flat + pieces.joined(), Pin(.unequal, node: node))
          return
        }
        let joined = make(size)
        if !piece.isEmpty { entries[joined.index].parts = .product(piece) }
        factors.append(joined)
      }
    }
    var total = Size(0)
    for factor in factors {
      guard let next = total.adding(size(factor)) else {
        pin(flat + factors, Pin(.unequal, node: node))
        return
      }
      total = next
    }
    // Joining a value with itself again and again doubles the parts each time; beyond any real model the axis simply stays whole.
    guard hasFewLeaves(factors) else { return pin(flat + factors, Pin(.unequal, node: node)) }
    let sum = make(total)
    entries[sum.index].parts = .sum(factors)
    unify(flat, [sum], node: node)
  }

  /// Most leaves that one sum may have in all its depth.
  private static let leafLimit = 4096

  /// Whether factors are made of few enough leaves, a leaf counted as often as it occurs.
  private func hasFewLeaves(_ factors: [FactorID]) -> Bool {
    var open = factors.map(root)
    var seen = 0
    while let id = open.popLast() {
      seen += 1
      if seen > Self.leafLimit { return false }
      switch entries[id.index].parts {
      case .leaf: break
      case .product(let parts), .sum(let parts): open += parts.map(root)
      }
    }
    return true
  }

  private mutating func unifySums(_ first: [FactorID], _ second: [FactorID], node: Int) {
    var a = first.map(root)
    var b = second.map(root)
    while let x = a.first, let y = b.first {
      if size(x) == size(y) {
        a.removeFirst()
        b.removeFirst()
        unify(x, y, node: node)
      } else if let rest = size(x).subtracting(size(y)), rest.isNonNegative, parts(x) == .leaf, !contains(y, x) {
        let remainder = make(rest)
        entries[root(x).index].parts = .sum([y, remainder])
        a.replaceSubrange(0..<1, with: [y, remainder])
      } else if let rest = size(y).subtracting(size(x)), rest.isNonNegative, parts(y) == .leaf, !contains(x, y) {
        let remainder = make(rest)
        entries[root(y).index].parts = .sum([x, remainder])
        b.replaceSubrange(0..<1, with: [x, remainder])
      } else if case .sum(let inner) = parts(x) {
        a.replaceSubrange(0..<1, with: inner)
      } else if case .sum(let inner) = parts(y) {
        b.replaceSubrange(0..<1, with: inner)
      } else {
        break
      }
    }
    if !(a + b).isEmpty { pin(a + b, Pin(.unequal, node: node)) }
  }

  /// Cuts a product into consecutive ranges by cutting its first factor.
  private mutating func cut(_ product: [FactorID], into pieces: [FactorID], node: Int) {
    let flat = flattened(product)
    guard let first = flat.first, let restSize = size(of: Array(flat.dropFirst())) else {
      return pin(flat + pieces, Pin(.unequal, node: node))
    }
    var cuts: [FactorID] = []
    for piece in pieces {
      guard let part = size(piece).dividedExactly(by: restSize) else {
        pin(flat + pieces, Pin(.unequal, node: node))
        return
      }
      cuts.append(make(part))
    }
    let sum = make(size(first))
    entries[sum.index].parts = .sum(cuts)
    unify(first, sum, node: node)
    for (piece, part) in zip(pieces, cuts) { unify([piece], [part] + flat.dropFirst(), node: node) }
  }

  private func contains(_ outer: FactorID, _ inner: FactorID) -> Bool {
    let outer = root(outer)
    let inner = root(inner)
    if outer == inner { return true }
    switch entries[outer.index].parts {
    case .leaf: return false
    case .product(let parts), .sum(let parts): return parts.contains { contains($0, inner) }
    }
  }
}
