import ModelGraph
import PollardBase
import TensorStorage

extension CompactionPlan {
  /// The plan that leads from one model to a smaller one, found by comparing the weights that make each unit.
  ///
  /// For models that come without a receipt. Both graphs have the same nodes, but for those that only compute shapes. Kept units are in
  /// ascending order; of units with equal weights the first that fits is taken. Units whose readers are all zero in the smaller model,
  /// or whose makers are and nothing else is changed, are listed as fill. Nothing is said about why units went: the lists of removed units are empty.
  ///
  /// - Throws: `noMatch` when the graphs differ in more than the number of units, or a unit of the smaller one is not in the original;
  ///   `FormatError` from reading weights. Every weight of a unit is read once in both models.
  public static func matching(_ original: DimensionMap, _ compacted: Graph, pool: ThreadPool) throws -> CompactionPlan {
    var matching = UnitMatching(
      map: original, small: compacted, pairs: try NodePairs(original.graph, compacted).table, pool: pool)
    var layers: [LayerPlan] = []
    for layer in original.layers {
      var plan = LayerPlan(index: layer.index, heads: nil, neurons: nil)
      if let neurons = layer.neurons {
        let (kept, padded) = try matching.match(.single(neurons), .layer(layer.index))
        plan.neurons = UnitPlan(before: neurons.size, kept: kept, padded: padded)
      }
      if let heads = layer.heads {
        let (kept, padded) = try matching.match(.heads(heads), .layer(layer.index))
        plan.heads = HeadPlan(
          units: UnitPlan(before: heads.count, kept: kept, padded: padded), groupsBefore: heads.groupCount)
      }
      layers.append(plan)
    }
    var dimensions: [DimensionPlan] = []
    for units in original.others {
      let (kept, padded) = try matching.match(.single(units.dimension), .tensor(units.name))
      dimensions.append(
        DimensionPlan(
          name: units.name, kind: units.dimension.kind,
          units: UnitPlan(before: units.dimension.size, kept: kept, padded: padded)))
    }
    return CompactionPlan(layers: layers, dimensions: dimensions)
  }
}

/// Finds the units of a smaller graph in its original.
private struct UnitMatching {
  let map: DimensionMap
  let small: Graph
  /// The node of the smaller graph for each of the original's.
  let pairs: [Int: Int]
  let pool: ThreadPool
  /// What is kept of the dimensions matched so far.
  private var known = KeepTable()

  init(map: DimensionMap, small: Graph, pairs: [Int: Int], pool: ThreadPool) {
    self.map = map
    self.small = small
    self.pairs = pairs
    self.pool = pool
  }

  /// The digests of one operand that makes units: of each group alone and of each query head (or neuron, each its own group).
  private struct Digests {
    var groups: [UInt64?]
    var units: [UInt64?]

    init(_ positions: [UInt64], groups owners: [Int], units: [Int], counts: (outer: Int, inner: Int)) {
      groups = Array(repeating: nil, count: counts.outer)
      self.units = Array(repeating: nil, count: counts.outer * counts.inner)
      for (place, digest) in positions.enumerated() {
        // A position of a unit tells about the unit, one of a group without unit about the group.
        if units[place] >= 0 {
          self.units[units[place]] = ((self.units[units[place]] ?? 0) &* 31) ^ digest
        } else if owners[place] >= 0 {
          groups[owners[place]] = ((groups[owners[place]] ?? 0) &* 31) ^ digest
        }
      }
    }
  }

  /// One operand that makes units, in both models.
  private struct Maker {
    var old: Digests
    var new: Digests
    /// The digests that zeros of the smaller model have; nil where nothing that stays can have lost what makes it.
    var zero: Digests?

    /// Whether a group or unit of the smaller model has an original's numbers, or zeros in their place.
    func fits(
      _ part: KeyPath<Digests, [UInt64?]>, _ new: Int, _ old: Int, _ isSilenced: inout Bool
    ) -> Bool {
      let found = self.new[keyPath: part][new]
      if found == self.old[keyPath: part][old] { return true }
      guard let zero, found == zero[keyPath: part][new] else { return false }
      isSilenced = true
      return true
    }
  }

  /// The digests at each position along an axis if all elements were +0.
  private func zeroDigests(_ weight: Weight, along axis: Int) throws -> [UInt64] {
    try Weight.zeros(type: .f32, shape: weight.shape).digests(along: axis)
  }

  mutating func match(_ set: UnitSet, _ subject: DiagnosticSubject) throws -> (kept: [Int], padded: [Int]) {
    let (outer, inner) = sizes(of: set)
    guard let counts = counts(of: set, outer, inner) else {
      throw CompactionError(
        .noMatch, subject: subject, expected: "weights of fewer units of the same size", found: "other shapes")
    }
    var keep = KeepTable()
    for dimension in set.dimensions {
      keep.kept[dimension.factor] = Array(0..<(dimension.kind == .queries ? counts.inner : counts.outer))
    }
    let positions = AxisPositions(table: map.relations.table, keep: keep)
    let sums = Set(set.contractions.map(\.node))
    let maySilence = map.unitBlocks(of: set) != nil
    var makers: [Maker] = []
    var readers: [Int: Bool] = [:]
    var originalReaders: [Int: Bool] = [:]
    var readings: [(old: Digests, new: Digests)] = []
    for use in Set(set.dimensions.flatMap(\.uses)).sorted(by: {
      ($0.slot.node, $0.slot.slot, $0.axis) < ($1.slot.node, $1.slot.slot, $1.axis)
    }) {
      guard let (before, after) = weights(use), let axis = map.relations.operandAxes[use.slot]?[use.axis] else {
        continue
      }
      let places = positions.positions(axis) ?? []
      guard let owners = set.units(along: axis, map.relations.table), places.count == after.shape[use.axis] else {
        continue
      }
      let groups = groups(along: axis, set)
      let newOwners = places.map { owners[$0] }
      let newGroups = places.map { groups[$0] }
      let size = (outer: outer, inner: inner)
      func old(_ digests: [UInt64]) -> Digests { Digests(digests, groups: groups, units: owners, counts: size) }
      func new(_ digests: [UInt64]) -> Digests { Digests(digests, groups: newGroups, units: newOwners, counts: size) }
      let found = (try before.digests(along: use.axis), try after.digests(along: use.axis))
      if sums.contains(use.slot.node) {
        let zeros = (try zeroDigests(before, along: use.axis), try zeroDigests(after, along: use.axis))
        for (place, owner) in newOwners.enumerated() where owner >= 0 {
          readers[owner] = (readers[owner] ?? true) && found.1[place] == zeros.1[place]
        }
        for (place, owner) in owners.enumerated() where owner >= 0 {
          originalReaders[owner] = (originalReaders[owner] ?? true) && found.0[place] == zeros.0[place]
        }
        if maySilence { readings.append((old(found.0), new(found.1))) }
        continue
      }
      makers.append(
        Maker(
          old: old(found.0), new: new(found.1),
          zero: maySilence ? new(try zeroDigests(after, along: use.axis)) : nil))
    }
    guard counts == (outer, inner) || !makers.isEmpty else {
      throw CompactionError(
        .noMatch, subject: subject, expected: "weights by which units can be told apart", found: "none")
    }
    var kept: [Int] = []
    var padded: [Int] = []
    var next = 0
    for group in 0..<counts.outer {
      // A group fits when its own weights do and its queries are found inside it, in order.
      var found: [Int]?
      var isSilenced = false
      while found == nil, next < outer {
        isSilenced = false
        if makers.allSatisfy({ $0.fits(\.groups, group, next, &isSilenced) }) {
          found = queries(counts.inner, of: group, in: next, inner, makers, readings, &isSilenced)
        }
        next += 1
      }
      guard let found else {
        throw CompactionError(
          .noMatch, subject: subject,
          expected: "the weights of unit \(group * counts.inner) among the original's",
          found: "no equal ones")
      }
      for (query, index) in found.enumerated() {
        kept.append(index)
        if isSilenced || readers[group * inner + query] ?? false && originalReaders[index] != true {
          padded.append(index)
        }
      }
    }
    // Weights between two dimensions are compared once the other one is known.
    if case .single(let dimension) = set, kept.count < dimension.size { known.kept[dimension.factor] = kept }
    return (kept, padded)
  }

  /// The units of a group that fit those of a smaller one, in order; where what makes them is zero, what reads them must be the same.
  private func queries(
    _ count: Int, of group: Int, in candidate: Int, _ inner: Int, _ makers: [Maker],
    _ readings: [(old: Digests, new: Digests)], _ isSilenced: inout Bool
  ) -> [Int]? {
    var result: [Int] = []
    var next = 0
    let isGroupSilenced = isSilenced
    for query in 0..<count {
      var found: Int?
      while found == nil, next < inner {
        let (new, old) = (group * inner + query, candidate * inner + next)
        var isUnitSilenced = isGroupSilenced
        if makers.allSatisfy({ $0.fits(\.units, new, old, &isUnitSilenced) }),
          !isUnitSilenced || readings.allSatisfy({ $0.new.units[new] == $0.old.units[old] })
        {
          found = old
          isSilenced = isSilenced || isUnitSilenced
        }
        next += 1
      }
      guard let found else { return nil }
      result.append(found)
    }
    return result
  }

  /// Groups and queries per group; neurons are groups of one.
  private func sizes(of set: UnitSet) -> (outer: Int, inner: Int) {
    switch set {
    case .heads(let heads): (heads.groupCount, heads.queriesPerGroup)
    case .single(let dimension): (dimension.size, 1)
    }
  }

  /// The numbers of groups and of queries in each that explain the extents of all smaller weights.
  private func counts(of set: UnitSet, _ outer: Int, _ inner: Int) -> (outer: Int, inner: Int)? {
    let uses = set.dimensions.flatMap(\.uses).filter { pairs[$0.slot.node] != nil }
    let table = map.relations.table
    for ratio in 1...inner {
      for count in 1...outer {
        var keep = KeepTable()
        for dimension in set.dimensions {
          keep.kept[dimension.factor] = Array(0..<(dimension.kind == .queries ? ratio : count))
        }
        let positions = AxisPositions(table: table, keep: keep)
        let fits = uses.allSatisfy { use in
          guard let axis = map.relations.operandAxes[use.slot]?[use.axis] else { return false }
          return positions.size(axis)?.constant == extent(use)
        }
        if fits { return (count, ratio) }
      }
    }
    return nil
  }

  /// The operand of a use in the smaller graph.
  private func smallWeight(_ use: WeightUse) -> Weight? {
    guard let node = pairs[use.slot.node] else { return nil }
    return small.nodes[node].input(use.slot.slot).flatMap { small[$0].initializer }
  }

  private func extent(_ use: WeightUse) -> Int? {
    guard let weight = smallWeight(use), weight.shape.rank > use.axis else { return nil }
    return weight.shape[use.axis]
  }

  /// The operands of a use in both graphs, when they differ along the one axis only; along axes of dimensions that are known already the
  /// original is cut as the smaller one is.
  private func weights(_ use: WeightUse) -> (Weight, Weight)? {
    guard var before = map.graph.nodes[use.slot.node].input(use.slot.slot).flatMap({ map.graph[$0].initializer }),
      let after = smallWeight(use), before.shape.rank == after.shape.rank, before.type.canBeCast(to: .f32),
      after.type.canBeCast(to: .f32), before.type.byteCount != nil, let axes = map.relations.operandAxes[use.slot]
    else { return nil }
    let positions = AxisPositions(table: map.relations.table, keep: known)
    for (axis, factors) in axes.enumerated() where axis != use.axis {
      if before.shape[axis] == after.shape[axis] { continue }
      guard let kept = positions.positions(factors), kept.count == after.shape[axis] else { return nil }
      before = before.keeping(kept, axis: axis)
    }
    return (before, after)
  }

  /// For each position of an axis the group it belongs to; -1 for none.
  private func groups(along axis: Axis, _ set: UnitSet) -> [Int] {
    let extent = map.relations.table.size(of: axis)?.constant ?? 0
    let none = [Int](repeating: -1, count: extent)
    guard case .heads(let heads) = set, let groups = heads.groups else { return none }
    return map.relations.table.coordinates(of: groups.factor, in: axis) ?? none
  }
}
