import ModelGraph
import PollardBase

/// The units of one kind in one place of a model, and the positions they have along axes.
package enum UnitSet: Sendable {
  /// Query heads of one attention.
  case heads(HeadUnits)
  /// The units of one dimension.
  case single(Dimension)

  package var count: Int {
    switch self {
    case .heads(let heads): heads.count
    case .single(let dimension): dimension.size
    }
  }

  package var dimensions: [Dimension] {
    switch self {
    case .heads(let heads): heads.dimensions
    case .single(let dimension): [dimension]
    }
  }

  package var contractions: [Contraction] {
    switch self {
    case .heads(let heads): heads.contractions
    case .single(let dimension): dimension.contractions
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
  var unitSets: [UnitSet] { [heads.map(UnitSet.heads), neurons.map(UnitSet.single)].compactMap { $0 } }
}

extension DimensionMap {
  /// Every set of units that can be removed: those of layers first.
  var unitSets: [UnitSet] { layers.flatMap(\.unitSets) + others.map { .single($0.dimension) } }

  /// What zeroing and scaling units does to the weights that read them.
  ///
  /// Where units are summed over by a product of two computed operands, as the channels of queries and keys are, no weight reads them; then
  /// the weights that make them are changed.
  func consumerChanges(
    _ changes: inout [NodeSlot: [WeightChange]], of set: UnitSet, zeroing units: Set<Int>, factors: [Int: Float] = [:]
  ) {
    if units.isEmpty, factors.isEmpty { return }
    let table = relations.table
    func add(_ use: WeightUse, _ axis: Axis) {
      guard let owners = set.units(along: axis, table) else { return }
      var change = WeightChange(axis: use.axis)
      for (position, unit) in owners.enumerated() where unit >= 0 {
        if units.contains(unit) {
          change.zeroed.append(position)
        } else if let factor = factors[unit] {
          change.factors[position] = factor
        }
      }
      if !(changes[use.slot] ?? []).contains(change) { changes[use.slot, default: []].append(change) }
    }
    for contraction in set.contractions {
      if let consumer = consumer(contraction) {
        add(consumer, relations.operandAxes[consumer.slot].map { $0[consumer.axis] } ?? contraction.axis)
      } else if !contraction.isActivationAlone {
        for use in set.dimensions.flatMap(\.uses) {
          if let axes = relations.operandAxes[use.slot] { add(use, axes[use.axis]) }
        }
      }
    }
  }

  /// The masked model that compaction is measured against: the weights that read a declared unit are replaced by +0, those that read a
  /// unit with another factor are multiplied by it and rounded to the type they are stored in. Nothing upstream changes.
  ///
  /// - Throws: errors of the mask, see `UnitMask`; `notExpressible` for packed weights.
  public func maskedGraph(_ mask: UnitMask) throws(CompactionError) -> Graph {
    var changes: [NodeSlot: [WeightChange]] = [:]
    let wishes = try mask.wishes(for: self)
    for (layer, wish) in zip(layers, wishes.layers) {
      if let heads = layer.heads {
        consumerChanges(&changes, of: .heads(heads), zeroing: wish.heads, factors: wish.headFactors)
      }
      if let neurons = layer.neurons {
        consumerChanges(&changes, of: .single(neurons), zeroing: wish.neurons, factors: wish.neuronFactors)
      }
    }
    for (units, removed) in zip(others, wishes.others) {
      consumerChanges(&changes, of: .single(units.dimension), zeroing: removed)
    }
    var rewriter = GraphRewriter(self, keep: KeepTable(), changes: changes)
    return try rewriter.rewritten()
  }

  /// The graph in which the weights that read some units of a set are +0, and nothing else changes.
  ///
  /// - Throws: `notExpressible` for packed weights.
  package func maskedGraph(zeroing units: Set<Int>, of set: UnitSet) throws(CompactionError) -> Graph {
    var changes: [NodeSlot: [WeightChange]] = [:]
    consumerChanges(&changes, of: set, zeroing: units)
    var rewriter = GraphRewriter(self, keep: KeepTable(), changes: changes)
    return try rewriter.rewritten()
  }
}
