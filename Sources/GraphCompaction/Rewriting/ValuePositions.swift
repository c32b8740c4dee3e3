import ModelGraph
import PollardBase

/// The positions that any value of a graph keeps when a plan is carried out, so that results inside layers can be compared one by one.
public struct ValuePositions: Sendable {
  /// An axis that loses positions.
  public struct Cut: Sendable, Hashable {
    /// The axis.
    public var axis: Int
    /// The positions in the original that are compared.
    public var positions: [Int]
    /// The same in the smaller model; nil for all in order.
    public var compactPositions: [Int]?
  }

  private let map: DimensionMap
  private let kept: AxisPositions
  /// As `kept`, without fill whose makers are zero: it is zero in the smaller model and not in the original.
  private let compared: AxisPositions?

  /// Creates the positions of a plan.
  ///
  /// - Throws: `inconsistent` when the plan is not of this graph.
  public init(_ plan: CompactionPlan, in map: DimensionMap) throws(CompactionError) {
    self.map = map
    let table = map.relations.table
    kept = AxisPositions(table: table, keep: try plan.cuts(in: map, .readers).keep)
    let loud = plan.withoutFillSilencedByMakers(in: map)
    compared = loud == plan ? nil : AxisPositions(table: table, keep: try loud.cuts(in: map, .readers).keep)
  }

  /// The axes of a value that lose positions; nil where they are not known, so that the value cannot be compared.
  ///
  /// - Complexity: O(extents of the axes).
  public func cuts(of value: ValueID) -> [Cut]? {
    guard let axes = map.axes(value) else { return nil }
    var result: [Cut] = []
    for (axis, factors) in axes.enumerated() {
      let positions = compared ?? kept
      guard positions.touches(factors) else { continue }
      guard let chosen = positions.positions(factors) else { return nil }
      var cut = Cut(axis: axis, positions: chosen)
      if compared != nil, kept.touches(factors) {
        guard let all = kept.positions(factors) else { return nil }
        let places = Dictionary(all.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        cut.compactPositions = chosen.compactMap { places[$0] }
      } else if compared != nil {
        cut.compactPositions = chosen
      }
      result.append(cut)
    }
    return result
  }
}

extension CompactionPlan {
  /// The plan with fill removed that is zero for want of makers.
  fileprivate func withoutFillSilencedByMakers(in map: DimensionMap) -> CompactionPlan {
    var result = self
    func without(_ units: UnitPlan, _ silenced: Set<Int>) -> UnitPlan {
      var units = units
      units.kept.removeAll(where: silenced.contains)
      units.padded.removeAll(where: silenced.contains)
      for unit in silenced { units.rescaled[unit] = nil }
      return units
    }
    for (index, units) in map.layers.enumerated() where result.layers.indices.contains(index) {
      if let heads = units.heads, let plan = layers[index].heads {
        let silenced = plan.silencedByMakers(heads)
        if !silenced.isEmpty {
          result.layers[index].heads = HeadPlan(
            units: without(plan.units, silenced), groupsBefore: plan.groupsBefore)
        }
      }
      if let plan = layers[index].neurons {
        let silenced = plan.silencedByMakers(units.neuronBlocks)
        if !silenced.isEmpty { result.layers[index].neurons = without(plan, silenced) }
      }
    }
    for (index, plan) in dimensions.enumerated() {
      guard let units = map.others.first(where: { $0.name == plan.name }) else { continue }
      let silenced = plan.units.silencedByMakers(units.blocks)
      if !silenced.isEmpty { result.dimensions[index].units = without(plan.units, silenced) }
    }
    return result
  }
}
