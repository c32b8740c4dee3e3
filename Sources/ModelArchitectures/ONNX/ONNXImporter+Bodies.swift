import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ONNXImporter {
  /// The operators whose graphs run as they are; branches of `If` are regions.
  private static let repeating: Set<OperatorName> = [
    OperatorName("Loop"), OperatorName("Scan"), OperatorName("SequenceMap"),
    OperatorName("FlexAttention", domain: "ai.onnx.preview"),
  ]

  /// The graphs that a node runs.
  ///
  /// - Parameter slots: the operand slots of the values around the node that they may use.
  func readBodies(
    of node: ONNXNode, _ op: OperatorName, operandCount: Int, _ slots: [ByteString: Int]
  ) throws(FormatError) -> [NodeBody] {
    guard Self.repeating.contains(op) else { return [] }
    var bodies: [NodeBody] = []
    for attribute in node.attributes {
      guard case .graph(let message) = try attribute.value() else { continue }
      var inner = ONNXImporter(file, model, versions: versions)
      inner.visible = Set(slots.keys)
      let (parameters, results) = try inner.readBody(message)
      bodies.append(
        NodeBody(
          attribute: (attribute.name ?? "").description, graph: inner.graph, operandCount: operandCount,
          parameterTypes: parameters, captures: inner.captured.compactMap { slots[$0] }, resultTypes: results))
    }
    return bodies
  }

  /// Reads a graph that a node runs; gives the declared types of its parameters and of its results.
  private mutating func readBody(
    _ message: ONNXGraph
  ) throws(FormatError) -> (parameters: [ValueType?], results: [ValueType?]) {
    graph = Graph(name: (message.name ?? "").description)
    containers = [ONNXContainer(graph: message, region: nil)]
    scopes = [[:]]
    var parameters: [ValueType?] = []
    for input in message.inputs {
      parameters.append(tensorType(of: input))
      graph.addInput(id(of: define(input.name ?? "", in: 0, .input)))
    }
    try readConstants(0, except: Set(message.inputs.map { $0.name ?? "" }))
    try readNodes(0)
    var results: [ValueType?] = []
    for output in message.outputs {
      graph.addOutput(id(of: try find(output.name ?? "")))
      results.append(tensorType(of: output))
    }
    // The values around it follow the parameters.
    for name in captured { graph.addInput(id(of: try find(name))) }
    return (parameters, results)
  }

  /// Defines a value that comes from around the body.
  mutating func capture(_ name: ByteString) -> Int {
    let innermost = Array(scopes.dropFirst())
    scopes.removeLast(innermost.count)
    let index = define(name, in: 0, .input)
    scopes += innermost
    captured.append(name)
    return index
  }
}
