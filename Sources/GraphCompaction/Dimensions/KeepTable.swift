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
        result.reserveCapacity(result.count + places.count * inner.count)
        for place in places { for offset in inner { result.append((start + place) * restSize + offset) } }
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
      for place in places { result.append(index * restSize + place) }
    }
    return result
  }
}

extension FactorTable {
  /// For each position of an axis of known extent the index it has along a leaf; -1 where it lies in a part without the leaf.
  ///
  /// Nil when the extent is not known.
  func coordinates(of leaf: FactorID, in axis: Axis) -> [Int]? {
    let factors = flattened(axis)
    guard let total = size(of: factors)?.constant else { return nil }
    var result = [Int](repeating: -1, count: total)
    var stride = 1
    for factor in factors.reversed() {
      guard let extent = size(factor).constant, extent > 0 else { return nil }
      if factor == leaf {
        for position in 0..<total { result[position] = position / stride % extent }
      } else if case .sum(let parts) = parts(factor) {
        var inner: [Int] = []
        for part in parts {
          guard let found = coordinates(of: leaf, in: [part]) else { return nil }
          inner += found
        }
        for position in 0..<total where inner[position / stride % extent] >= 0 {
          result[position] = inner[position / stride % extent]
        }
      }
      stride *= extent
    }
    return result
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
