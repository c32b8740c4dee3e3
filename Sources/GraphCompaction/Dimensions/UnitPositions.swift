import ModelGraph
import PollardBase

/// The units of one kind in one layer, and the positions they have along axes.
enum UnitSet: Sendable {
  case heads(HeadUnits)
  case neurons(Dimension)

  var count: Int {
    switch self {
    case .heads(let heads): heads.count
    case .neurons(let dimension): dimension.size
    }
  }

  var dimensions: [Dimension] {
    switch self {
    case .heads(let heads): heads.dimensions
    case .neurons(let dimension): [dimension]
    }
  }

  var contractions: [Contraction] {
    switch self {
    case .heads(let heads): heads.contractions
    case .neurons(let dimension): dimension.contractions
    }
  }

  /// For each position of an axis of known extent the unit it belongs to; -1 for none. Nil when the extent is not known.
  func units(along axis: Axis, _ table: FactorTable) -> [Int]? {
    var result: [Int]?
    for dimension in dimensions {
      guard let places = table.coordinates(of: dimension.factor, in: axis) else { return nil }
      guard let outer = result else {
        result = places
        continue
      }
      result = zip(outer, places).map { $0 < 0 || $1 < 0 ? -1 : $0 * dimension.size + $1 }
    }
    return result
  }
}

extension LayerUnits {
  /// The sets of units there are.
  var unitSets: [UnitSet] { [heads.map(UnitSet.heads), neurons.map(UnitSet.neurons)].compactMap { $0 } }
}

extension DimensionMap {
  /// What zeroing and scaling units does to the weights that read them.
  func consumerChanges(
    _ changes: inout [NodeSlot: [ConsumerChange]], of set: UnitSet, zeroing units: Set<Int>, factors: [Int: Float] = [:]
  ) {
    if units.isEmpty, factors.isEmpty { return }
    let table = relations.table
    for contraction in set.contractions {
      guard let consumer = consumer(contraction), let owners = set.units(along: contraction.axis, table) else {
        continue
      }
      var change = ConsumerChange(axis: consumer.axis)
      for (position, unit) in owners.enumerated() where unit >= 0 {
        if units.contains(unit) {
          change.zeroed.append(position)
        } else if let factor = factors[unit] {
          change.factors[position] = factor
        }
      }
      changes[consumer.slot, default: []].append(change)
    }
  }

  /// The masked model that compaction is measured against: the weights that read a declared unit are replaced by +0, those that read a
  /// unit with another factor are multiplied by it and rounded to the type they are stored in. Nothing upstream changes.
  ///
  /// - Throws: errors of the mask, see `UnitMask`; `notExpressible` for packed weights.
  public func maskedGraph(_ mask: UnitMask) throws(CompactionError) -> Graph {
    var changes: [NodeSlot: [ConsumerChange]] = [:]
    for (layer, wish) in zip(layers, try mask.wishes(for: self)) {
      if let heads = layer.heads {
        consumerChanges(&changes, of: .heads(heads), zeroing: wish.heads, factors: wish.headFactors)
      }
      if let neurons = layer.neurons {
        consumerChanges(&changes, of: .neurons(neurons), zeroing: wish.neurons, factors: wish.neuronFactors)
      }
    }
    var rewriter = GraphRewriter(self, keep: KeepTable(), changes: changes)
    return try rewriter.rewritten()
  }
}
