import PollardBase
import TensorStorage

extension Graph {
  /// The same graph with a row of the mask for every query of an Attention, where one row stood for all.
  ///
  ///     y = Attention(q, k, v, mask)            mask: [B, 1, 1, T]
  ///     →
  ///     m = Expand(mask, Concat([1], [1], Shape(q, start: 2, end: 3), [1]))             once for all nodes with the mask
  ///     y = Attention(q, k, v, m)               m: [B, 1, S, T]
  ///
  /// The operator's definition broadcasts the mask; ONNX Runtime's does so along batch and heads only.
  ///
  /// - Complexity: O(nodes).
  public func expandingAttentionMasks() throws(GraphError) -> Graph {
    var result = self
    var rewritten: [Node] = []
    var inference = ShapeInference()
    var names = Set(values.map(\.name))
    var expanded: [SharedValue: ValueID] = [:]
    for var node in nodes {
      if node.op == OperatorName("Attention"), let mask = node.input(3), let query = node.input(0),
        let shape = self[mask].type?.shape, let queries = self[query].type?.shape, queries.count == 4,
        shape.count >= 2, shape[shape.count - 2] == Size(1), queries[2] != Size(1)
      {
        let key = SharedValue(kind: "mask", operands: [mask], sizes: [queries[2]], region: node.region)
        if expanded[key] == nil {
          var name = "\(self[mask].name)/rows"
          while !names.insert(name).inserted { name += "_" }
          func add(
            _ op: String, _ part: String, _ inputs: [ValueID], _ attributes: [String: Attribute] = [:]
          ) throws(GraphError) -> ValueID {
            let id = result.addValue(Value(name: part.isEmpty ? name : "\(name)/\(part)"))
            let made = Node(
              OperatorName(op), name: result[id].name, inputs: inputs, outputs: [id], attributes: attributes,
              scope: node.scope, region: node.region)
            try inference.infer(made, in: &result)
            rewritten.append(made)
            return id
          }
          let one = result.addValue(
            Value(name: "\(name)/one", type: ValueType(.i64, [Size(1)]), initializer: .integers([1], shape: [1])))
          let count = try add("Shape", "Shape", [query], ["start": .integer(2), "end": .integer(3)])
          let before = Array(repeating: one, count: shape.count - 2)
          let extents = try add("Concat", "Concat", before + [count, one], ["axis": .integer(0)])
          expanded[key] = try add("Expand", "", [mask, extents])
        }
        node.inputs[3] = expanded[key]
      }
      rewritten.append(node)
    }
    result.replaceNodes(rewritten)
    return result
  }
}
