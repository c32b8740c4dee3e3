extension Graph {
  /// The graph in which whatever reads some values reads others in their place.
  ///
  /// The new value must be known wherever the old one is: it stands before it, in the same branch or outside. An output keeps its value, which
  /// becomes the `Identity` of the new one. Nodes that nothing reads any more stay.
  ///
  /// - Parameter replacements: the new value by the old one; replaced values may stand in each other's place.
  /// - Complexity: O(nodes).
  public func replacing(_ replacements: [ValueID: ValueID]) -> Graph {
    if replacements.isEmpty { return self }
    func last(_ id: ValueID) -> ValueID {
      var id = id
      for _ in replacements {
        guard let next = replacements[id] else { break }
        id = next
      }
      return id
    }
    var result = self
    let fixed = Set(outputs).intersection(replacements.keys)
    let version = nodes.first { $0.op.domain.isEmpty }?.version ?? Node.currentVersion
    for (index, node) in nodes.enumerated() {
      result.nodes[index].inputs = node.inputs.map { $0.map(last) }
      guard let output = node.outputs.lazy.compactMap({ $0 }).first(where: fixed.contains) else { continue }
      result.nodes[index].op = OperatorName("Identity")
      result.nodes[index].version = version
      result.nodes[index].inputs = [last(output)]
      result.nodes[index].outputs = [output]
      result.nodes[index].attributes = [:]
      result.nodes[index].bodies = []
    }
    for (index, tap) in taps.enumerated() { result.taps[index].value = last(tap.value) }
    for (index, region) in regions.enumerated() { result.regions[index].condition = last(region.condition) }
    return result
  }
}
