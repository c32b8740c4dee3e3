import ModelGraph
import PollardBase

extension CompactionPlan {
  /// The smaller graph. Values keep their numbers and names; no weight is read.
  ///
  /// - Parameter map: the map the plan was made from, or one of the same graph.
  /// - Throws: `notExpressible` when an operator or a packed weight cannot take the cut, `inconsistent` when the plan is not of this graph
  ///   or the result is not what was planned.
  public func apply(to map: DimensionMap) throws(CompactionError) -> Graph {
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
        Self.keep(heads, units, in: &keep)
        map.consumerChanges(
          &changes, of: .heads(heads), zeroing: Set(units.units.padded), factors: units.units.rescaled)
      }
      if let neurons = layer.neurons, let units = plan.neurons {
        guard neurons.size == units.before else { throw Self.otherGraph(plan.index, units.before, neurons.size) }
        if units.after < units.before { keep.kept[neurons.factor] = units.kept }
        map.consumerChanges(&changes, of: .neurons(neurons), zeroing: Set(units.padded), factors: units.rescaled)
      }
    }
    var rewriter = GraphRewriter(map, keep: keep, changes: changes)
    return try rewriter.rewritten()
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

  private static func otherGraph(_ layer: Int, _ expected: Int, _ found: Int) -> CompactionError {
    CompactionError(.inconsistent, subject: .layer(layer), expected: "\(expected) units", found: "\(found)")
  }
}
