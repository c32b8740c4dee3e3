import ModelGraph

/// Which values of a graph have the sequences and the tokens of its attention mask as their first two axes.
///
/// Where the number of tokens is open its symbol tells. Where it is a number, another axis may have the same extent by chance, so the axes are
/// followed through the operators; a value that they are not followed to counts as one without tokens.
struct TokenAxes {
  private let graph: Graph
  private let mask: [Size]
  private let relations: AxisRelations?
  /// The first two axes of the mask and of the tokens, as factors.
  private var anchors: [[Axis]] = []

  /// Looks at a graph; nil when it has no attention mask of sequences and tokens.
  ///
  /// - Complexity: O(nodes) where the number of tokens is fixed.
  init?(_ graph: Graph) {
    guard let id = graph.value(named: "attention_mask"), let mask = graph[id].type?.shape, mask.count == 2 else {
      return nil
    }
    self.mask = mask
    var typed = graph
    guard mask[1].constant != nil, let inference = try? ShapeInference.inferAll(&typed) else {
      self.graph = graph
      relations = nil
      return
    }
    self.graph = typed
    let relations = AxisRelations(typed, inference: inference)
    self.relations = relations
    for id in typed.inputs where ["attention_mask", "input_ids"].contains(typed[id].name) {
      guard let axes = relations.valueAxes[id], typed[id].type?.shape == mask else { continue }
      anchors.append(axes.map(relations.table.flattened))
    }
  }

  /// Whether a value, whose rank in a run is given, has the mask's axes.
  func areFirst(of id: ValueID, rank: Int) -> Bool {
    guard let shape = graph[id].type?.shape, shape.count == rank, rank >= 2, shape[0] == mask[0], shape[1] == mask[1]
    else {
      return false
    }
    if mask[1].constant == nil { return true }
    guard let relations, let axes = relations.valueAxes[id] else { return false }
    let first = axes.prefix(2).map(relations.table.flattened)
    return anchors.contains { $0[1] == first[1] && (mask[0].constant == nil || $0[0] == first[0]) }
  }
}
