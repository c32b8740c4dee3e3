import ModelGraph

extension DimensionMap {
  /// What holds the units of a layer that cannot be removed, one phrase for each axis: `query.weight[1], 4 positions: softmax over at /layer.0/Softmax`.
  public func obstacles(in layer: LayerUnits) -> [String] {
    var result = pinned.filter {
      $0.labels.count == 1 && $0.labels[0].number == layer.number
        && (layer.stack == $0.labels[0].stack || layer.stack.hasPrefix($0.labels[0].stack + "."))
    }.map(\.text)
    for dimension in unassigned + others.map(\.dimension)
    where dimension.labels.count > 1 && dimension.labels.contains(where: { $0.number == layer.number }) {
      result.append("\(graph.name(of: dimension.uses)), \(dimension.size) \(dimension.kind.rawValue) tied over layers")
    }
    return result
  }

  /// The units of a layer as reports show them.
  public func notes(on layer: LayerUnits) -> [String] {
    layer.heads == nil || layer.neurons == nil ? obstacles(in: layer) : []
  }

  /// The tensors that carry a dimension, with the axis, in the order of the nodes.
  public func tensors(carrying dimension: Dimension) -> [(name: String, axis: Int)] {
    let lists = Set(ties.map(\.node))
    return dimension.uses.filter { !lists.contains($0.slot.node) }.compactMap { use in
      graph.nodes[use.slot.node].input(use.slot.slot).map { (graph[$0].name, use.axis) }
    }
  }

  /// The nodes that sum over a dimension, in order.
  public func nodes(summing dimension: Dimension) -> [String] {
    var names: [String] = []
    for contraction in dimension.contractions where names.last != graph.nodes[contraction.node].name {
      names.append(graph.nodes[contraction.node].name)
    }
    return names
  }
}

extension PinnedAxis {
  /// A phrase: `query.weight[1], 4 positions: softmax over at /layer.0/Softmax`.
  public var text: String { "\(name), \(size) positions: " + reasons.map(\.text).joined(separator: ", ") }
}
