import ModelGraph

/// A value inside a layer at which the masked original and the smaller model are compared unit by unit.
public struct ComparisonPoint: Sendable, Hashable {
  /// The layer's number; nil outside of layers.
  public var layer: Int?
  /// What is compared: the context of heads, or the activation of neurons, channels and other units.
  public var kind: DimensionKind
  /// The value, the same number in both graphs.
  public var value: ValueID
  /// The axis of the value that carries the units.
  public var axis: Int
  /// For each position that is compared the position in the original.
  public var positions: [Int]
  /// For each position that is compared the unit it belongs to, counted in the original.
  public var units: [Int]
  /// The positions in the smaller model; nil for all in order. Fill whose makers are zero is left out: it is zero there and not in the original,
  /// where nothing reads it.
  public var compactPositions: [Int]?
}

extension CompactionPlan {
  /// The values that enter the sums over units, with the positions that both models hold: each kept head's context, each kept neuron.
  ///
  /// Fill whose readers are zero is included: nothing upstream of them changes, so it is equal as well. Fill whose makers are zero is left out.
  public func comparisonPoints(in map: DimensionMap) -> [ComparisonPoint] {
    var result: [ComparisonPoint] = []
    for (layer, plan) in zip(map.layers, layers) {
      if let heads = layer.heads, let units = plan.heads {
        result += points(.heads(heads), .heads, units.units, units.silencedByMakers(heads), layer.index, map)
      }
      if let neurons = layer.neurons, let units = plan.neurons {
        result += points(
          .single(neurons), .neurons, units, units.silencedByMakers(layer.neuronBlocks), layer.index, map)
      }
    }
    for plan in dimensions {
      guard let units = map.others.first(where: { $0.name == plan.name }) else { continue }
      result += points(
        .single(units.dimension), plan.kind, plan.units, plan.units.silencedByMakers(units.blocks), nil, map)
    }
    return result
  }

  private func points(
    _ set: UnitSet, _ kind: DimensionKind, _ plan: UnitPlan, _ silenced: Set<Int>, _ layer: Int?,
    _ map: DimensionMap
  ) -> [ComparisonPoint] {
    let kept = Set(plan.kept)
    let table = map.relations.table
    var result: [ComparisonPoint] = []
    for contraction in set.contractions {
      guard let (value, axis) = map.activation(contraction), let owners = set.units(along: contraction.axis, table)
      else {
        continue
      }
      var point = ComparisonPoint(layer: layer, kind: kind, value: value, axis: axis, positions: [], units: [])
      var places: [Int] = []
      var count = 0
      for (position, unit) in owners.enumerated() where kept.contains(unit) {
        count += 1
        if silenced.contains(unit) { continue }
        places.append(count - 1)
        point.positions.append(position)
        point.units.append(unit)
      }
      if places.count < count { point.compactPositions = places }
      result.append(point)
    }
    return result
  }
}
