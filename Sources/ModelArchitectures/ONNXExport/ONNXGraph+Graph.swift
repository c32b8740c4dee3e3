import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

extension ONNXGraph {
  /// The names that axes have in exports of optimum, by the names of sizes here.
  static let axisNames = [
    "batch": "batch_size", "sequence": "sequence_length", "decoder_sequence": "decoder_sequence_length",
  ]

  /// Writes a graph as messages: nodes in their order, the initializers they use, inputs and outputs with their types.
  ///
  /// - Throws: `unsupported` for branches, attributes that were only carried along, and element types that ONNX lacks.
  public init(_ graph: Graph) throws(GraphError) {
    self.init()
    guard graph.regions.isEmpty else {
      throw GraphError(.unsupported, expected: "a graph without branches", found: "\(graph.regions.count)")
    }
    name = ByteString(graph.name.isEmpty ? "graph" : graph.name)
    var used = Set(graph.outputs)
    for node in graph.nodes {
      used.formUnion(node.inputs.compactMap { $0 })
      nodes.append(try ONNXNode(node, in: graph))
    }
    for id in graph.initializers where used.contains(id) {
      guard let weight = graph[id].initializer else { continue }
      guard ONNXDataType(weight.type) != nil else {
        throw GraphError(
          .unsupported, subject: .value(graph[id].name), expected: "a type of ONNX", found: "\(weight.type)")
      }
      initializers.append(ONNXTensor(ByteString(graph[id].name), weight))
    }
    inputs = try graph.inputs.map { id throws(GraphError) in try ONNXValueInfo(graph[id]) }
    outputs = try graph.outputs.map { id throws(GraphError) in try ONNXValueInfo(graph[id]) }
  }
}

extension ONNXValueInfo {
  /// A value with its type.
  fileprivate init(_ value: Value) throws(GraphError) {
    guard let type = value.type, let element = ONNXDataType(type.element) else {
      throw GraphError(
        .unsupported, subject: .value(value.name), expected: "a type of ONNX",
        found: value.type?.description ?? "an unknown type")
    }
    self.init(ByteString(value.name), ONNXType(element, shape: type.shape?.map(ONNXDimension.init)))
  }
}

extension ONNXDimension {
  /// A number, a name, or nothing for what is computed from several.
  fileprivate init(_ size: Size) {
    if let constant = size.constant {
      self.init(Int64(constant))
    } else if let name = size.symbols.first, size == .symbol(name) {
      self.init(named: ByteString(ONNXGraph.axisNames[name] ?? name))
    } else {
      self.init()
    }
  }
}

extension ONNXNode {
  fileprivate init(_ node: Node, in graph: Graph) throws(GraphError) {
    func names(_ ids: [ValueID?]) -> [ByteString] {
      var ids = ids
      while let last = ids.last, last == nil { ids.removeLast() }
      return ids.map { $0.map { ByteString(graph[$0].name) } ?? "" }
    }
    var attributes: [ONNXAttribute] = []
    for (name, value) in node.attributes.sorted(by: { $0.key < $1.key }) {
      guard let value = ONNXAttribute.Value(value) else {
        throw GraphError(
          .unsupported, subject: .node(node.name), expected: "attributes that are understood", found: name)
      }
      attributes.append(ONNXAttribute(ByteString(name), value))
    }
    self.init(
      ByteString(node.op.name), domain: node.op.domain.isEmpty ? nil : ByteString(node.op.domain),
      name: ByteString(node.name), inputs: names(node.inputs), outputs: names(node.outputs), attributes: attributes)
  }
}

extension ONNXAttribute.Value {
  /// The payload of an attribute; nil for one that was only carried along.
  fileprivate init?(_ attribute: Attribute) {
    switch attribute {
    case .integer(let value): self = .integer(Int64(value))
    case .integers(let values): self = .integers(values.map(Int64.init))
    case .float(let value): self = .float(value)
    case .floats(let values): self = .floats(values)
    case .string(let value): self = .string(ByteString(value))
    case .strings(let values): self = .strings(values.map { ByteString($0) })
    case .tensor(let weight):
      guard ONNXDataType(weight.type) != nil else { return nil }
      self = .tensor(ONNXTensor(nil, weight))
    case .opaque: return nil
    }
  }
}
