import ModelGraph
import PollardBase
import TensorStorage

extension DimensionMap {
  /// For each of some layers the stream of hidden states behind it with the stream before it: the graph without the layer reads the second in
  /// place of the first.
  ///
  /// A layer's nodes are those whose names, or whose weights' names, carry its number, with nodes that have no name of their own between them. The
  /// stream is certain when exactly one value of one type and shape goes in and comes out, when nothing that stays is computed within the layer
  /// from the stream, and when no other layer's nodes would go.
  ///
  /// - Parameter numbers: the layers, as `layerBlocks` counts them.
  /// - Throws: `noSuchLayer`, `streamUncertain`.
  public func bypass(ofLayers numbers: [Int]) throws(CompactionError) -> [ValueID: ValueID] {
    let blocks = layerBlocks
    let labels = LayerLabels(graph, relations)
    var result: [ValueID: ValueID] = [:]
    for number in numbers {
      guard blocks.indices.contains(number) else {
        throw CompactionError(
          .noSuchLayer, subject: .option("--drop-layers"), expected: "layers from 0 to \(blocks.count - 1)",
          found: "\(number)")
      }
      let base = layers[blocks[number][0]]
      let search = LayerBypass(self, labels, LayerLabel(stack: base.stack, number: base.number), number)
      let stream = try search.stream()
      result[stream.exit] = stream.entry
    }
    let stacks = Dictionary(grouping: blocks.indices) { layers[blocks[$0][0]].stack }
    if let all = stacks.values.first(where: { Set($0).isSubset(of: numbers) }) {
      throw CompactionError(
        .noSuchLayer, subject: .option("--drop-layers"), expected: "at least one layer to stay",
        found: "none of \(all.count)")
    }
    return result
  }
}

/// Finds where the stream of hidden states enters and leaves a layer of a graph.
private struct LayerBypass {
  private let graph: Graph
  private let label: LayerLabel
  private let number: Int
  private let labels: [LayerLabel?]
  private let inside: Set<Int>
  private let constants: Set<ValueID>

  init(_ map: DimensionMap, _ known: LayerLabels, _ label: LayerLabel, _ number: Int) {
    graph = map.graph
    self.label = label
    self.number = number
    constants = map.constants
    var labels = known.nodes
    // What no node's name tells, the names of the weights it reads do.
    for (index, node) in map.graph.nodes.enumerated() where labels[index] == nil {
      for case let input? in node.inputs where map.graph[input].initializer != nil {
        guard var found = LayerLabel(map.graph[input].name) else { continue }
        if known.stacks.count == 1 { found.stack = known.stacks[0].name }
        labels[index] = found
      }
    }
    self.labels = labels
    inside = Self.inside(map.graph, labels, label)
  }

  /// The nodes of the layer, with those that have no label and stand between them.
  private static func inside(_ graph: Graph, _ labels: [LayerLabel?], _ label: LayerLabel) -> Set<Int> {
    var result = Set(labels.indices.filter { labels[$0] == label })
    var reached: Set<ValueID> = []
    var behind: Set<Int> = []
    for (index, node) in graph.nodes.enumerated() {
      let follows = node.inputs.contains { $0.map(reached.contains) ?? false }
      if follows, labels[index] == nil { behind.insert(index) }
      if result.contains(index) || (follows && labels[index] == nil) {
        reached.formUnion(node.outputs.compactMap { $0 })
      }
    }
    let uses = graph.uses
    let outputs = Set(graph.outputs)
    for index in behind.sorted(by: >) {
      let results = graph.nodes[index].outputs.compactMap { $0 }
      let readers = results.flatMap { uses[$0] ?? [] }
      if !readers.isEmpty, results.allSatisfy({ !outputs.contains($0) }),
        readers.allSatisfy({ result.contains($0.node) })
      {
        result.insert(index)
      }
    }
    return result
  }

  func stream() throws(CompactionError) -> (entry: ValueID, exit: ValueID) {
    var made: Set<ValueID> = []
    for index in inside { made.formUnion(graph.nodes[index].outputs.compactMap { $0 }) }
    var entries: [ValueID] = []
    for index in inside.sorted() {
      for case let input? in graph.nodes[index].inputs
      where !made.contains(input) && isHidden(input) && !entries.contains(input) { entries.append(input) }
    }
    var exits = graph.outputs.filter { made.contains($0) && isHidden($0) }
    for (index, node) in graph.nodes.enumerated() where !inside.contains(index) {
      for case let input? in node.inputs where made.contains(input) && isHidden(input) && !exits.contains(input) {
        exits.append(input)
      }
    }
    let pairs = entries.flatMap { entry in exits.map { (entry: entry, exit: $0) } }.filter { pair in
      graph[pair.entry].type == graph[pair.exit].type && labels[producer(of: pair.exit)] == label
    }
    guard pairs.count == 1, let pair = pairs.first else {
      throw uncertain(
        "one value that goes in and one of the same shape that comes out",
        pairs.isEmpty
          ? "none" : "\(pairs.count): " + pairs.prefix(3).map { graph[$0.exit].name }.joined(separator: ", "))
    }
    try check(pair.entry, pair.exit)
    return pair
  }

  /// Whether a value may be hidden states: numbers along several axes, computed from the model's inputs.
  private func isHidden(_ id: ValueID) -> Bool {
    guard let type = graph[id].type, let shape = type.shape, graph[id].initializer == nil, !constants.contains(id)
    else {
      return false
    }
    return type.element.isFloatingPoint && shape.count >= 2
  }

  private func producer(of id: ValueID) -> Int { graph.producers[id] ?? 0 }

  /// What stays must not be computed within the layer from the stream, and what goes must be the layer's.
  private func check(_ entry: ValueID, _ exit: ValueID) throws(CompactionError) {
    let left = Set(graph.bypassing([exit: entry]).nodes.flatMap { $0.outputs.compactMap { $0 } })
    let needed = graph.neededNodes(graph.nodes)
    var fromStream: Set<ValueID> = [entry]
    for (index, node) in graph.nodes.enumerated() {
      let results = node.outputs.compactMap { $0 }
      let stays = results.contains(where: left.contains)
      if inside.contains(index) {
        guard node.op.name != "Shape", node.inputs.contains(where: { $0.map(fromStream.contains) ?? false }) else {
          continue
        }
        fromStream.formUnion(results)
        guard stays, !results.contains(exit), !isShape(node) else { continue }
        throw uncertain(
          "nothing that stays to be computed within the layer",
          "\(node.op) \(node.name), which gives \(results.map { graph[$0].name }.joined(separator: ", "))")
      }
      guard needed[index], !stays else { continue }
      if labels[index] != nil || node.inputs.contains(where: { $0.map(isMatrix) ?? false }) {
        throw uncertain("only the layer's own nodes to go", "\(node.op) \(node.name)")
      }
    }
  }

  /// Extents do not change with the layer that they are read in.
  private func isShape(_ node: Node) -> Bool {
    node.outputs.allSatisfy { output in
      output.flatMap { graph[$0].type }.map { !$0.element.isFloatingPoint } ?? true
    }
  }

  private func isMatrix(_ id: ValueID) -> Bool { (graph[id].initializer?.shape.rank ?? 0) > 1 }

  private func uncertain(_ expected: String, _ found: String) -> CompactionError {
    CompactionError(
      .streamUncertain, subject: .layer(number), expected: expected, found: found,
      remedy: "drop the layer of the checkpoint that the graph was exported from, and export it without caches")
  }
}
