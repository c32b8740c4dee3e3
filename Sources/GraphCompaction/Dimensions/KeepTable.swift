import ModelGraph

/// Which indices of which factors are kept.
struct KeepTable: Sendable {
  /// Kept indices, ascending, by the class of the factor.
  var kept: [FactorID: [Int]] = [:]
  /// Kept indices that depend on the index of another factor, which comes before it in every product; equally many for each index.
  var dependent: [FactorID: DependentKeep] = [:]

  /// A kept set for each kept index of another factor.
  struct DependentKeep: Sendable {
    var outer: FactorID
    var kept: [Int: [Int]]
  }

  var isEmpty: Bool { kept.isEmpty && dependent.isEmpty }

  /// The number of kept indices, nil when all are.
  func count(_ leaf: FactorID) -> Int? { kept[leaf]?.count ?? dependent[leaf].map { $0.kept.values.first?.count ?? 0 } }

  func indices(_ leaf: FactorID, _ outer: [FactorID: Int]) -> [Int]? {
    if let indices = kept[leaf] { return indices }
    guard let table = dependent[leaf], let index = outer[table.outer] else { return nil }
    return table.kept[index]
  }
}

/// Kept positions and new extents of axes, from kept indices of factors.
struct AxisPositions: Sendable {
  let table: FactorTable
  let keep: KeepTable

  /// Whether an axis loses positions.
  func touches(_ axis: Axis) -> Bool {
    axis.contains { table.leaves($0).contains { keep.count($0) != nil } }
  }

  /// The kept positions of an axis of known extent, ascending; nil when all are kept or the extent is not known.
  func positions(_ axis: Axis) -> [Int]? {
    touches(axis) ? enumerate(table.flattened(axis)[...], [:]) : nil
  }

  /// The extent of an axis after the cut; nil on overflow.
  func size(_ axis: Axis) -> Size? {
    var result = Size(1)
    for factor in table.flattened(axis) {
      guard let size = size(of: factor), let next = result.multiplied(by: size) else { return nil }
      result = next
    }
    return result
  }

  private func size(of factor: FactorID) -> Size? {
    switch table.parts(factor) {
    case .leaf: return keep.count(table.root(factor)).map { Size($0) } ?? table.size(factor)
    case .product(let parts): return size(parts)
    case .sum(let parts):
      var total = Size(0)
      for part in parts {
        guard let size = size([part]), let next = total.adding(size) else { return nil }
        total = next
      }
      return total
    }
  }

  private func enumerate(_ list: ArraySlice<FactorID>, _ outer: [FactorID: Int]) -> [Int]? {
    guard let first = list.first else { return [0] }
    let rest = list.dropFirst()
    guard let restSize = table.size(of: Array(rest))?.constant else { return nil }
    guard case .leaf = table.parts(first) else {
      guard case .sum(let parts) = table.parts(first), let inner = enumerate(rest, outer) else { return nil }
      var result: [Int] = []
      var start = 0
      for part in parts {
        guard let places = enumerate(table.flattened([part])[...], outer), let extent = table.size(part).constant else {
          return nil
        }
        for place in places { result += inner.map { (start + place) * restSize + $0 } }
        start += extent
      }
      return result
    }
    guard let extent = table.size(first).constant else { return nil }
    let indices = keep.indices(first, outer) ?? Array(0..<extent)
    let restDepends = keep.dependent.values.contains { $0.outer == first }
    var shared: [Int]?
    if !restDepends {
      guard let inner = enumerate(rest, outer) else { return nil }
      shared = inner
    }
    var result: [Int] = []
    for index in indices {
      var places = shared
      if restDepends {
        var extended = outer
        extended[first] = index
        places = enumerate(rest, extended)
      }
      guard let places else { return nil }
      result += places.map { index * restSize + $0 }
    }
    return result
  }
}

extension FactorTable {
  /// The index that a position of an axis of known extent has along a leaf; nil where the position lies in a part without the leaf.
  func coordinate(of leaf: FactorID, in axis: Axis, at position: Int) -> Int? {
    var rest = position
    for factor in flattened(axis).reversed() {
      guard let extent = size(factor).constant, extent > 0 else { return nil }
      let index = rest % extent
      rest /= extent
      if factor == leaf { return index }
      if case .sum(let parts) = parts(factor) {
        var start = 0
        for part in parts {
          guard let length = size(part).constant else { return nil }
          if index < start + length {
            if let found = coordinate(of: leaf, in: [part], at: index - start) { return found }
            break
          }
          start += length
        }
      }
    }
    return nil
  }

  /// Whether, wherever a leaf occurs in an axis, another one comes before it in the same product.
  func occurs(_ outer: FactorID, before leaf: FactorID, in axis: Axis) -> Bool {
    var seen = false
    for factor in flattened(axis) {
      if factor == outer { seen = true }
      if factor == leaf, !seen { return false }
      if case .sum(let parts) = parts(factor), !seen, !parts.allSatisfy({ occurs(outer, before: leaf, in: [$0]) }) {
        return false
      }
    }
    return true
  }
}
