import ModelGraph
import PollardBase

extension CompactionPlan {
  /// The smaller graph. Values keep their numbers and names; no weight is read.
  ///
  /// - Parameter map: the map the plan was made from, or one of the same graph.
  /// - Throws: `notExpressible` when an operator or a packed weight cannot take the cut, `inconsistent` when the plan is not of this graph
  ///   or the result is not what was planned.
  public func apply(to map: DimensionMap) throws(CompactionError) -> Graph {
    let (keep, changes) = try cuts(in: map)
    var rewriter = GraphRewriter(map, keep: keep, changes: changes)
    return try rewriter.rewritten()
  }

  /// The axes of graph inputs and outputs that lose positions, with the positions that stay.
  ///
  /// - Throws: `inconsistent` when the plan is not of this graph.
  public func interfaceCuts(in map: DimensionMap) throws(CompactionError) -> [InterfaceCut] {
    let positions = AxisPositions(table: map.relations.table, keep: try cuts(in: map).keep)
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
  private func cuts(
    in map: DimensionMap
  ) throws(CompactionError) -> (keep: KeepTable, changes: [NodeSlot: [ConsumerChange]]) {
    guard map.layers.count == layers.count else {
      throw CompactionError(.inconsistent, expected: "\(layers.count) layers", found: "\(map.layers.count)")
    }
    var keep = KeepTable()
    var changes: [NodeSlot: [ConsumerChange]] = [:]
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
        map.consumerChanges(
          &changes, of: .heads(heads), zeroing: Set(units.units.padded), factors: units.units.rescaled)
      }
      if let neurons = layer.neurons, let units = plan.neurons {
        guard neurons.size == units.before else { throw Self.otherGraph(plan.index, units.before, neurons.size) }
        try Self.check(units, .layer(plan.index))
        if units.after < units.before { keep.kept[neurons.factor] = units.kept }
        map.consumerChanges(&changes, of: .single(neurons), zeroing: Set(units.padded), factors: units.rescaled)
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
      map.consumerChanges(
        &changes, of: .single(units.dimension), zeroing: Set(plan.units.padded), factors: plan.units.rescaled)
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
