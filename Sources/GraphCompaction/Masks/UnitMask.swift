import PollardBase

/// Which units of each layer are kept: 1 keeps, 0 removes, anything else multiplies the unit's contribution.
///
/// Lists are by layer; a layer's list is nil when nothing is asked of it, and a kind's list is empty when nothing is asked of the kind.
public struct UnitMask: Sendable, Hashable {
  /// A number for each query head of each layer.
  public var heads: [[Float]?]
  /// A number for each key/value head of each layer; 0 removes all of its query heads.
  public var groups: [[Float]?]
  /// A number for each feed-forward neuron of each layer.
  public var ffn: [[Float]?]
  /// Positions of tensors that go, with the units they make up.
  public var tensors: [TensorAxisMask]

  /// Creates a mask; it is checked against a model when it is used.
  public init(
    heads: [[Float]?] = [], groups: [[Float]?] = [], ffn: [[Float]?] = [], tensors: [TensorAxisMask] = []
  ) {
    self.heads = heads
    self.groups = groups
    self.ffn = ffn
    self.tensors = tensors
  }

  /// Whether every unit is kept as it is.
  public var keepsEverything: Bool {
    (heads + groups + ffn).allSatisfy { $0?.allSatisfy { $0 == 1 } ?? true } && tensors.allSatisfy(\.removed.isEmpty)
  }
}

/// What a mask asks of one layer.
package struct LayerWish: Sendable, Hashable {
  /// Query heads to remove.
  package var heads: Set<Int> = []
  /// Neurons to remove.
  package var neurons: Set<Int> = []
  /// Factors other than 0 and 1, by query head.
  package var headFactors: [Int: Float] = [:]
  /// Factors other than 0 and 1, by neuron.
  package var neuronFactors: [Int: Float] = [:]

  package init() {}
}

extension UnitMask {
  /// The wishes of each layer, and the units of each of the map's other dimensions that are to go.
  ///
  /// - Throws: `maskShape` when the numbers of layers or units differ from the model's or positions name a unit in part, `maskValue` for a
  ///   number that is not finite, `notRemovable` when a layer or an axis without removable units is not kept whole.
  package func wishes(for map: DimensionMap) throws(CompactionError) -> (layers: [LayerWish], others: [Set<Int>]) {
    var wishes = Array(repeating: LayerWish(), count: map.layers.count)
    for (name, lists) in [("head_mask", heads), ("kv_group_mask", groups), ("ffn_mask", ffn)]
    where !lists.isEmpty {
      guard lists.count == map.layers.count else {
        throw CompactionError(
          .maskShape, subject: .option(name), expected: "\(map.layers.count) layers", found: "\(lists.count)")
      }
      for (layer, list) in lists.enumerated() {
        guard let list else { continue }
        if let bad = list.firstIndex(where: { !$0.isFinite }) {
          throw CompactionError(
            .maskValue, subject: .option("\(name)[\(layer)][\(bad)]"), expected: "a finite number",
            found: "\(list[bad])")
        }
        try apply(list, name, to: &wishes[layer], map.layers[layer], map)
      }
    }
    var others = Array(repeating: Set<Int>(), count: map.others.count)
    for tensor in tensors where !tensor.removed.isEmpty {
      let (target, units) = try tensor.resolved(in: map)
      switch target {
      case .heads(let layer): wishes[layer].heads.formUnion(units)
      case .neurons(let layer): wishes[layer].neurons.formUnion(units)
      case .other(let index): others[index].formUnion(units)
      }
    }
    return (wishes, others)
  }

  private func apply(
    _ list: [Float], _ name: String, to wish: inout LayerWish, _ layer: LayerUnits, _ map: DimensionMap
  ) throws(CompactionError) {
    let list = try name == "ffn_mask" ? blocks(list, layer) : list
    let width =
      name == "ffn_mask" ? layer.neurons?.size : name == "head_mask" ? layer.heads?.count : layer.heads?.groupCount
    guard let width else {
      if list.allSatisfy({ $0 == 1 }) { return }
      let obstacles = map.obstacles(in: layer).prefix(4).joined(separator: "; ")
      throw CompactionError(
        .notRemovable, subject: .layer(layer.index), expected: "\(name) to keep everything there",
        found: "a mask that removes or scales units" + (obstacles.isEmpty ? "" : "; held: \(obstacles)"),
        remedy: "keep this layer whole; `inspect` names what holds its units")
    }
    guard list.count == width else {
      throw CompactionError(
        .maskShape, subject: .layer(layer.index), expected: "\(width) numbers in \(name)", found: "\(list.count)")
    }
    for (unit, value) in list.enumerated() where value != 1 {
      switch name {
      case "ffn_mask":
        if value == 0 { wish.neurons.insert(unit) } else { wish.neuronFactors[unit, default: 1] *= value }
      case "head_mask":
        if value == 0 { wish.heads.insert(unit) } else { wish.headFactors[unit, default: 1] *= value }
      default:
        let ratio = layer.heads?.queriesPerGroup ?? 1
        for head in unit * ratio..<(unit + 1) * ratio {
          if value == 0 { wish.heads.insert(head) } else { wish.headFactors[head, default: 1] *= value }
        }
      }
    }
  }

  /// One number for each block of neurons, where a format keeps blocks together and the list has a number for each neuron.
  private func blocks(_ list: [Float], _ layer: LayerUnits) throws(CompactionError) -> [Float] {
    guard let neurons = layer.neurons, neurons.blockSize > 1, list.count == neurons.size * neurons.blockSize else {
      return list
    }
    let size = neurons.blockSize
    var result: [Float] = []
    for block in 0..<neurons.size {
      let part = Set(list[block * size..<(block + 1) * size])
      guard part.count == 1, let value = part.first else {
        throw CompactionError(
          .notRemovable, subject: .layer(layer.index),
          expected: "whole blocks of \(size) neurons, as they are quantised",
          found: "a mask that differs within block \(block)", remedy: "mask the model before it is quantised")
      }
      result.append(value)
    }
    return result
  }
}
