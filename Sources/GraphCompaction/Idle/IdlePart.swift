import ModelGraph

/// A half of a layer, which adds its result to the stream of hidden states.
public enum LayerPart: String, Sendable, Hashable, CaseIterable {
  /// The attention.
  case attention
  /// The feed-forward network.
  case feedForward = "feed_forward"
}

/// A part of a layer whose result is zero for every input, so that what it is added to stays what it was.
public struct IdlePart: Sendable, Hashable {
  /// The place of the layer in `DimensionMap.layers`; a further attention of a layer has a place of its own.
  public var layer: Int
  /// The part.
  public var part: LayerPart
  /// Sums that are equal to one of their terms for every input, each with that term.
  public var sums: [ValueID: ValueID]

  /// Creates the record of an idle part.
  public init(layer: Int, part: LayerPart, sums: [ValueID: ValueID]) {
    self.layer = layer
    self.part = part
    self.sums = sums
  }
}

extension DimensionMap {
  /// The places in `layers` of the blocks of each layer, by the number that counts layers through all stacks: a decoder's layer has its cross
  /// attention beside its self attention.
  public var layerBlocks: [[Int]] {
    layers.filter { !$0.isFurtherBlock }.map { base in
      [base.index]
        + layers.filter { other in
          other.isFurtherBlock && other.number == base.number
            && (base.stack.isEmpty || other.stack.hasPrefix(base.stack + "."))
        }.map(\.index)
    }
  }

  /// The layers, numbered as in `layerBlocks`, that give what they are given: all of their parts are idle, and nothing else of them works on
  /// the stream, as a norm behind a sum does.
  ///
  /// In every stack one layer at least is not in the list: a model without layers is none.
  public func idleLayers(_ parts: [IdlePart]) -> [Int] {
    let attentions = Set(parts.filter { $0.part == .attention }.map(\.layer))
    let networks = Set(parts.filter { $0.part == .feedForward }.map(\.layer))
    let blocks = layerBlocks
    let labels = LayerLabels(graph, relations).nodes
    let idle = blocks.indices.filter { number in
      blocks[number].allSatisfy { place in
        attentions.contains(place) && (networks.contains(place) || layers[place].isFurtherBlock)
      } && isIdentity(parts.filter { blocks[number].contains($0.layer) }, layers[blocks[number][0]], labels)
    }
    let stacks = Dictionary(grouping: blocks.indices) { layers[blocks[$0][0]].stack }
    let spared = Set(stacks.values.compactMap { Set($0).isSubset(of: idle) ? $0.first : nil })
    return idle.filter { !spared.contains($0) }
  }

  /// Whether without its idle parts no node of a layer makes or reads what the parts were added to.
  private func isIdentity(_ parts: [IdlePart], _ layer: LayerUnits, _ labels: [LayerLabel?]) -> Bool {
    let label = LayerLabel(stack: layer.stack, number: layer.number)
    let rest = graph.bypassing(parts)
    let left = Set(rest.nodes.flatMap { $0.outputs.compactMap { $0 } })
    var sums: [ValueID: ValueID] = [:]
    for part in parts { sums.merge(part.sums) { first, _ in first } }
    let streams = Set(sums.values).filter { sums[$0] == nil && left.contains($0) || graph.inputs.contains($0) }
    let own = Set(
      graph.nodes.indices.filter { labels[$0] == label }.flatMap { graph.nodes[$0].outputs.compactMap { $0 } })
    return streams.isDisjoint(with: own)
      && rest.nodes.allSatisfy { node in
        node.op.name == "Shape" || !node.outputs.contains { $0.map(own.contains) ?? false }
          || !node.inputs.contains { $0.map(streams.contains) ?? false }
      }
  }
}

extension Graph {
  /// The graph without what some sums made of idle parts; results keep their numbers.
  public func bypassing(_ parts: [IdlePart]) -> Graph {
    var sums: [ValueID: ValueID] = [:]
    for part in parts { sums.merge(part.sums) { first, _ in first } }
    return bypassing(sums)
  }

  /// The graph in which some values are replaced by others, without the nodes and constants that only they needed.
  package func bypassing(_ replacements: [ValueID: ValueID]) -> Graph {
    if replacements.isEmpty { return self }
    let before = neededNodes(nodes)
    let used = Set(nodes.flatMap(\.inputs).compactMap { $0 })
    var result = replacing(replacements)
    result.readExtentsElsewhere(Set(replacements.values))
    let needed = result.neededNodes(result.nodes)
    result.replaceNodes(result.nodes.indices.filter { needed[$0] || !before[$0] }.map { result.nodes[$0] })
    var left = Set(result.nodes.flatMap(\.inputs).compactMap { $0 })
    left.formUnion(result.outputs)
    left.formUnion(result.taps.map(\.value))
    left.formUnion(result.regions.map(\.condition))
    for id in result.initializers where used.contains(id) && !left.contains(id) {
      result[id].initializer = nil
      result[id].type = nil
    }
    return result
  }

  /// Where only its extents are asked of a value that nothing else needs, they are read from another value of the same extents.
  private mutating func readExtentsElsewhere(_ others: Set<ValueID>) {
    var needed = Set(outputs + taps.map(\.value) + regions.map(\.condition))
    for node in nodes.reversed() where node.op.name != "Shape" {
      if node.outputs.contains(where: { $0.map(needed.contains) ?? false }) {
        needed.formUnion(node.inputs.compactMap { $0 })
      }
    }
    let producers = producers
    var nodes = nodes
    for (index, node) in nodes.enumerated() where node.op.name == "Shape" {
      guard let input = node.input(0), !needed.contains(input), producers[input] != nil,
        let shape = self[input].type?.shape
      else { continue }
      let same = others.sorted().first { other in
        needed.contains(other) && self[other].type?.shape == shape && (producers[other] ?? -1) < index
          && producers[other].map { self.nodes[$0].region == nil } ?? true
      }
      if let same { nodes[index].inputs[0] = same }
    }
    replaceNodes(nodes)
  }
}
