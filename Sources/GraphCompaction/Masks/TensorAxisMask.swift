import ModelGraph
import PollardBase

/// Positions of one axis of one tensor that are to go, and with them everything that must shrink together with them.
public struct TensorAxisMask: Sendable, Hashable {
  /// The tensor's name.
  public var tensor: String
  /// The axis, counted from the outermost as the tensor is stored.
  public var axis: Int
  /// The positions that go.
  public var removed: [Int]

  /// Creates a mask; it is checked against a model when it is used.
  public init(tensor: String, axis: Int, removed: [Int]) {
    self.tensor = tensor
    self.axis = axis
    self.removed = removed
  }
}

extension TensorAxisMask {
  /// Where units of a mask are.
  enum Target: Sendable, Hashable {
    case heads(layer: Int)
    case neurons(layer: Int)
    case other(Int)
  }

  /// The units that the positions make up.
  ///
  /// All positions of a unit must be named: the rows of one head of a query projection, say.
  ///
  /// - Throws: `maskShape` when the model has no such tensor, axis or position, or a unit is named in part; `notRemovable` for an axis that
  ///   carries no units that can go, with what holds it.
  func resolved(in map: DimensionMap) throws(CompactionError) -> (target: Target, units: Set<Int>) {
    let uses = try self.uses(in: map)
    let wanted = Set(removed)
    var partial: (missing: [Int: [Int]], kind: String)?
    for use in uses {
      guard let axes = map.relations.operandAxes[use.slot], axes.indices.contains(use.axis) else { continue }
      let extent = map.relations.table.size(of: axes[use.axis])?.constant ?? 0
      if let bad = removed.first(where: { !(0..<extent).contains($0) }) {
        throw CompactionError(
          .maskShape, subject: .tensor(tensor), expected: "positions below \(extent) along axis \(axis)",
          found: "\(bad)")
      }
      for (target, set) in map.targets {
        guard let owners = set.units(along: axes[use.axis], map.relations.table), owners.contains(where: { $0 >= 0 }),
          wanted.allSatisfy({ owners[$0] >= 0 })
        else { continue }
        let units = Set(wanted.map { owners[$0] })
        // Only units whose positions are all named: a fused matrix has them at several places.
        var missing: [Int: [Int]] = [:]
        for (position, unit) in owners.enumerated() where units.contains(unit) && !wanted.contains(position) {
          missing[unit, default: []].append(position)
        }
        if missing.isEmpty { return (target, units) }
        partial = partial ?? (missing, target.phrase(map))
      }
    }
    if let partial {
      let units = partial.missing.keys.sorted()
      let named = units.prefix(4).map(String.init).joined(separator: ", ") + (units.count > 4 ? ", …" : "")
      throw CompactionError(
        .maskShape, subject: .tensor(tensor), expected: "every position of a unit along axis \(axis)",
        found: "only some positions of \(partial.kind) \(named)",
        remedy: "name the other positions too, the first is \(partial.missing[units[0]]?.first ?? 0)")
    }
    throw notRemovable(uses, in: map)
  }

  /// The uses of the tensor's axis; a tensor that is read transposed carries it elsewhere.
  private func uses(in map: DimensionMap) throws(CompactionError) -> [WeightUse] {
    var result: [WeightUse] = []
    var rank: Int?
    for (index, node) in map.graph.nodes.enumerated() {
      for (slot, input) in node.inputs.enumerated() {
        guard let input, map.graph[input].name == tensor, let weight = map.graph[input].initializer else { continue }
        rank = weight.shape.rank
        guard (0..<weight.shape.rank).contains(axis) else { continue }
        let place = weight.outerPermutation.flatMap { $0.firstIndex(of: axis) } ?? axis
        result.append(WeightUse(slot: NodeSlot(node: index, slot: slot), axis: place))
      }
    }
    if result.isEmpty {
      throw CompactionError(
        .maskShape, subject: .tensor(tensor),
        expected: rank.map { "an axis below \($0)" } ?? "the name of a tensor that the model reads",
        found: rank == nil ? "none of that name" : "\(axis)")
    }
    return result
  }

  private func notRemovable(_ uses: [WeightUse], in map: DimensionMap) -> CompactionError {
    var reasons: [String] = []
    let pins = map.relations.table.leafPins()
    let interface = InterfacePins(map.graph, map.relations, map.options)
    for use in uses {
      for leaf in (map.relations.operandAxes[use.slot]?[use.axis] ?? []).flatMap(map.relations.table.leaves) {
        for reason in interface.reasons(leaf, pins[leaf] ?? []) where !reasons.contains(reason.text) {
          reasons.append(reason.text)
        }
      }
    }
    return CompactionError(
      .notRemovable, subject: .tensor(tensor), expected: "an axis that carries units",
      found: reasons.isEmpty
        ? "axis \(axis), which is not summed over" : "axis \(axis), held: " + reasons.prefix(4).joined(separator: "; "))
  }
}

extension TensorAxisMask.Target {
  func phrase(_ map: DimensionMap) -> String {
    switch self {
    case .heads(let layer): "layer \(layer), head"
    case .neurons(let layer): "layer \(layer), neuron"
    case .other(let index): "\(map.others[index].name), unit"
    }
  }
}

extension DimensionMap {
  /// Every set of units that can be removed, with its place.
  var targets: [(target: TensorAxisMask.Target, set: UnitSet)] {
    var result: [(target: TensorAxisMask.Target, set: UnitSet)] = []
    for layer in layers {
      if let heads = layer.heads { result.append((.heads(layer: layer.index), .heads(heads))) }
      if let neurons = layer.neurons { result.append((.neurons(layer: layer.index), .single(neurons))) }
    }
    for (index, units) in others.enumerated() { result.append((.other(index), .single(units.dimension))) }
    return result
  }
}
