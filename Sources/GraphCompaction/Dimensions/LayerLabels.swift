import ModelGraph

/// The layers that names tell of.
struct LayerLabels {
  let graph: Graph
  /// The label of each node.
  let nodes: [LayerLabel?]
  /// The stacks of nodes that multiply by matrices, in the order of the graph, each with the number of its layers.
  let stacks: [(name: String, count: Int)]

  private static let convolutions: Set<String> = ["Conv", "ConvInteger", "QLinearConv", "ConvTranspose", "FusedConv"]

  init(_ graph: Graph, _ relations: AxisRelations) {
    self.graph = graph
    let labels = Self.withoutWrappers(graph.nodes.map(\.layer), graph)
    nodes = labels
    var stacks: [(name: String, count: Int)] = []
    for contraction in relations.contractions where !Self.convolutions.contains(graph.nodes[contraction.node].op.name) {
      guard let label = labels[contraction.node] else { continue }
      // A number in a name is no reason to make a list of that length.
      let count = min(label.number, graph.nodes.count - 1) + 1
      if let known = stacks.firstIndex(where: { $0.name == label.stack }) {
        stacks[known].count = max(stacks[known].count, count)
      } else {
        stacks.append((label.stack, count))
      }
    }
    self.stacks = stacks
  }

  /// The branches of a conditional come from several exports; where one of them wraps the model once more, its stacks lose the wrapper's name.
  private static func withoutWrappers(_ labels: [LayerLabel?], _ graph: Graph) -> [LayerLabel?] {
    if graph.regions.isEmpty { return labels }
    let names = Set(labels.compactMap { $0?.stack }).sorted { $0.count < $1.count }
    return labels.map { label in
      guard let label, let inner = names.first(where: { !$0.isEmpty && label.stack.hasSuffix("." + $0) }) else {
        return label
      }
      return LayerLabel(stack: inner, number: label.number)
    }
  }

  /// The layers whose nodes read the weights, in the order of the nodes; where no node tells, what the names of the tensors say.
  func labels(of uses: [WeightUse]) -> [LayerLabel] {
    var result: [LayerLabel] = []
    for use in uses {
      if let label = nodes[use.slot.node], !result.contains(label) { result.append(label) }
    }
    if !result.isEmpty { return result }
    for use in uses {
      guard let id = graph.nodes[use.slot.node].input(use.slot.slot), var label = LayerLabel(graph[id].name) else {
        continue
      }
      if stacks.count == 1 { label.stack = stacks[0].name }
      if !result.contains(label) { result.append(label) }
    }
    return result
  }

  /// The last word that the places of all nodes reading the weights have in common after the layer's number: `EncDecAttention`.
  func part(of uses: [WeightUse]) -> String? {
    var common: [Substring]?
    for use in uses where nodes[use.slot.node] != nil {
      let node = graph.nodes[use.slot.node]
      let place = LayerLabel(node.scope) != nil ? node.scope : node.name
      let parts = place.split { $0 == "." || $0 == "/" }
      guard let known = common else {
        common = parts
        continue
      }
      common = zip(known, parts).prefix { $0 == $1 }.map(\.0)
    }
    let words = common?.drop { Int($0) == nil }.dropFirst().filter { Int($0) == nil }
    return words?.last.map(String.init)
  }
}
