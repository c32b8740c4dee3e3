import ModelGraph
import PollardBase
import TensorStorage

extension CompactionPlan {
  /// The smaller graph. Values keep their numbers and names; no weight is read.
  ///
  /// The result depends on the kept and padded units and the factors of the plan alone, so that a plan read from a receipt gives the same.
  ///
  /// - Parameters:
  ///   - map: the map the plan was made from, or one of the same graph.
  ///   - fill: where the zeros of fill go; `readers` for the masked original, which is defined by them.
  /// - Throws: `notExpressible` when an operator or a packed weight cannot take the cut, `notSilenced` when fill in packed weights would still
  ///   contribute, `inconsistent` when the plan is not of this graph or the result is not what was planned.
  public func apply(to map: DimensionMap, fill: FillSilencing = .storable) throws(CompactionError) -> Graph {
    let (keep, changes) = try cuts(in: map, fill)
    try map.requireSilent(fill == .storable ? silencedByMakers(in: map) : [])
    var rewriter = GraphRewriter(map, keep: keep, changes: changes)
    let additions = try place(folds, in: &rewriter)
    var graph = try rewriter.rewritten()
    for (value, bias) in additions { graph.addBias(bias, to: value) }
    return graph
  }

  /// Puts biases in the place of those that are there; the others are given back, with the values that they are added to.
  private func place(
    _ folds: [BiasFold], in rewriter: inout GraphRewriter
  ) throws(CompactionError) -> [(ValueID, Weight)] {
    let graph = rewriter.map.graph
    var additions: [(ValueID, Weight)] = []
    for fold in folds {
      guard graph.nodes.indices.contains(fold.node), let output = graph.nodes[fold.node].outputs.first ?? nil else {
        throw CompactionError(.inconsistent, expected: "a product to add a bias to", found: "none")
      }
      switch fold.place {
      case .addition: additions.append((output, fold.bias))
      case .operand(let slot):
        guard graph.nodes.indices.contains(slot.node),
          let bias = graph.nodes[slot.node].input(slot.slot).flatMap({ graph[$0].initializer }),
          bias.type == fold.bias.type, bias.shape == fold.bias.shape
        else { throw CompactionError(.inconsistent, expected: "a bias like the folded one", found: "another") }
        rewriter.replacements[slot] = fold.bias
      }
    }
    return additions
  }

  /// The axes of graph inputs and outputs that lose positions, with the positions that stay.
  ///
  /// - Throws: `inconsistent` when the plan is not of this graph.
  public func interfaceCuts(in map: DimensionMap) throws(CompactionError) -> [InterfaceCut] {
    let positions = AxisPositions(table: map.relations.table, keep: try cuts(in: map, .readers).keep)
    var result: [InterfaceCut] = []
    for id in map.graph.inputs + map.graph.outputs {
      for (axis, factors) in (map.axes(id) ?? []).enumerated() {
        if let kept = positions.positions(factors) {
          result.append(InterfaceCut(value: id, axis: axis, positions: kept))
        }
      }
    }
    return result
  }

  /// What is kept of each dimension, and what happens to the weights that read what stays.
  func cuts(
    in map: DimensionMap, _ fill: FillSilencing
  ) throws(CompactionError) -> (keep: KeepTable, changes: [NodeSlot: [WeightChange]]) {
    guard map.layers.count == layers.count else {
      throw CompactionError(.inconsistent, expected: "\(layers.count) layers", found: "\(map.layers.count)")
    }
    var keep = KeepTable()
    var changes: [NodeSlot: [WeightChange]] = [:]
    for (layer, plan) in zip(map.layers, layers) {
      if let heads = layer.heads, let units = plan.heads {
        guard heads.count == units.units.before, heads.groupCount == units.groupsBefore else {
          throw Self.otherGraph(plan.index, units.units.before, heads.count)
        }
        try Self.check(units.units, .layer(plan.index))
        guard Set(units.keptQueries.map(\.count)).count == 1,
          heads.allowsDifferentQueries || Set(units.keptQueries).count == 1
        else {
          throw CompactionError(
            .unevenGroups, subject: .layer(plan.index), expected: "the same number of queries in every group",
            found: units.keptQueries.map { "\($0.count)" }.joined(separator: ", "))
        }
        Self.keep(heads, units, in: &keep)
        let set = UnitSet.heads(heads)
        let silenced = fill == .storable ? units.silencedByMakers(heads) : []
        map.consumerChanges(
          &changes, of: set, zeroing: Set(units.units.padded).subtracting(silenced), factors: units.units.rescaled)
        if !silenced.isEmpty { map.makerChanges(&changes, of: set, zeroing: silenced) }
      }
      if let neurons = layer.neurons, let units = plan.neurons {
        guard neurons.size == units.before else { throw Self.otherGraph(plan.index, units.before, neurons.size) }
        try Self.check(units, .layer(plan.index))
        if units.after < units.before { keep.kept[neurons.factor] = units.kept }
        let set = UnitSet.single(neurons)
        let silenced = fill == .storable ? units.silencedByMakers(layer.neuronBlocks) : []
        map.consumerChanges(
          &changes, of: set, zeroing: Set(units.padded).subtracting(silenced), factors: units.rescaled)
        if !silenced.isEmpty { map.makerChanges(&changes, of: set, zeroing: silenced) }
      }
    }
    for plan in dimensions {
      guard let units = map.others.first(where: { $0.name == plan.name }), units.dimension.size == plan.units.before
      else {
        throw CompactionError(
          .inconsistent, subject: .tensor(plan.name), expected: "\(plan.units.before) units", found: "others")
      }
      try Self.check(plan.units, .tensor(plan.name))
      if plan.units.after < plan.units.before { keep.kept[units.dimension.factor] = plan.units.kept }
      let set = UnitSet.single(units.dimension)
      let silenced = fill == .storable ? plan.units.silencedByMakers(units.blocks) : []
      map.consumerChanges(
        &changes, of: set, zeroing: Set(plan.units.padded).subtracting(silenced), factors: plan.units.rescaled)
      if !silenced.isEmpty { map.makerChanges(&changes, of: set, zeroing: silenced) }
    }
    return (keep, changes)
  }

  private static func keep(_ heads: HeadUnits, _ plan: HeadPlan, in keep: inout KeepTable) {
    if let groups = heads.groups, plan.keptGroups.count < groups.size { keep.kept[groups.factor] = plan.keptGroups }
    guard let queries = heads.queries, let first = plan.keptQueries.first, first.count < queries.size else { return }
    if let groups = heads.groups, plan.keptQueries.contains(where: { $0 != first }) {
      keep.dependent[queries.factor] = KeepTable.DependentKeep(
        outer: groups.factor, kept: Dictionary(uniqueKeysWithValues: zip(plan.keptGroups, plan.keptQueries)))
    } else {
      keep.kept[queries.factor] = first
    }
  }

  /// A plan may come from a file: its lists are checked before anything is indexed by them.
  private static func check(_ units: UnitPlan, _ subject: DiagnosticSubject) throws(CompactionError) {
    let ascends = zip(units.kept, units.kept.dropFirst()).allSatisfy { $0 < $1 }
    let inside = units.kept.first.map { $0 >= 0 } ?? false
    guard ascends, inside, units.kept.last.map({ $0 < units.before }) ?? false else {
      throw CompactionError(
        .inconsistent, subject: subject, expected: "ascending indices below \(units.before), at least one",
        found: "\(units.kept.count) indices")
    }
    guard Set(units.padded).isSubset(of: units.kept), Set(units.rescaled.keys).isSubset(of: units.kept) else {
      throw CompactionError(
        .inconsistent, subject: subject, expected: "fill and factors among the kept units", found: "others")
    }
  }

  private static func otherGraph(_ layer: Int, _ expected: Int, _ found: Int) -> CompactionError {
    CompactionError(.inconsistent, subject: .layer(layer), expected: "\(expected) units", found: "\(found)")
  }
}

/// An axis of an input or output of a graph that loses positions.
public struct InterfaceCut: Sendable, Hashable {
  /// The input or output.
  public var value: ValueID
  /// The axis.
  public var axis: Int
  /// The positions that stay, ascending.
  public var positions: [Int]
}
