import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// A model of the suite as a graph: nodes one to one, the branches of conditionals as regions.
struct BackendModel {
  private(set) var graph = Graph(name: "")
  private var versions: [String: Int] = [:]
  private var scopes: [[ByteString: ValueID]] = [[:]]
  private var names: [String: Int] = [:]

  init(_ model: ONNXModel) throws {
    guard model.functions.isEmpty else { throw NotApplicable(reason: "functions of the model") }
    for entry in model.operatorSets {
      let domain = entry.domain?.description ?? ""
      versions[domain == "ai.onnx" ? "" : domain] = Int(entry.version ?? 1)
    }
    guard let source = model.graph else { throw NotApplicable(reason: "no graph") }
    let initializers = Set(source.initializers.compactMap(\.name))
    for input in source.inputs {
      let name = input.name ?? ""
      if initializers.contains(name) { continue }
      let id = graph.addValue(Value(name: unique(name), type: try Self.type(of: input)))
      scopes[0][name] = id
      graph.addInput(id)
    }
    let outputs = try add(source, region: nil)
    for id in outputs { graph.addOutput(id) }
  }

  private mutating func unique(_ name: ByteString) -> String {
    let text = name.description
    let count = names[text, default: 0]
    names[text] = count + 1
    return count == 0 ? text : "\(text)#\(count)"
  }

  private static func type(of input: ONNXValueInfo) throws -> ValueType {
    guard let tensor = input.type?.tensor else { throw NotApplicable(reason: "inputs that are no tensors") }
    return ValueType(try ElementType(onnx: tensor.elementType), nil)
  }

  /// Adds the nodes of a graph or branch and gives its outputs.
  private mutating func add(_ source: ONNXGraph, region: Int?) throws -> [ValueID] {
    if !source.sparseInitializers.isEmpty { throw NotApplicable(reason: "sparse tensors") }
    for tensor in source.initializers { try define(tensor.name ?? "", tensor.weight()) }
    for node in source.nodes { try add(node, region: region) }
    return try source.outputs.map { try find($0.name ?? "") }
  }

  private mutating func define(_ name: ByteString, _ weight: Weight) throws {
    let type = ValueType(weight.type, weight.shape.extents.map { Size($0) })
    scopes[scopes.count - 1][name] = graph.addValue(Value(name: unique(name), type: type, initializer: weight))
  }

  private func find(_ name: ByteString) throws -> ValueID {
    for scope in scopes.reversed() { if let id = scope[name] { return id } }
    throw NotApplicable(reason: "the undefined value \(name)")
  }

  private mutating func add(_ node: ONNXNode, region: Int?) throws {
    let domain = node.domain.map(\.description) ?? ""
    let op = OperatorName(node.operatorType?.description ?? "", domain: domain == "ai.onnx" ? "" : domain)
    if op == OperatorName("Constant") {
      if let value = try constant(node) { return try define(node.outputs.first ?? "", value) }
    }
    var inputs: [ValueID?] = try node.inputs.map { $0.isEmpty ? nil : try find($0) }
    var attributes: [String: Attribute] = [:]
    for attribute in node.attributes {
      let name = attribute.name?.description ?? ""
      switch try attribute.value() {
      case .float(let value): attributes[name] = .float(value)
      case .integer(let value): attributes[name] = .integer(Int(value))
      case .string(let value): attributes[name] = .string(value.description)
      case .floats(let values): attributes[name] = .floats(values)
      case .integers(let values): attributes[name] = .integers(values.map { Int($0) })
      case .strings(let values): attributes[name] = .strings(values.map(\.description))
      case .tensor(let tensor): attributes[name] = .tensor(try tensor.weight())
      case .graph where op == OperatorName("If"): break
      case .graph, .graphs: throw NotApplicable(reason: "the operator \(op)")
      case .type, .types: throw NotApplicable(reason: "values that are no tensors")
      default: throw NotApplicable(reason: "attributes of this kind")
      }
    }
    if op == OperatorName("If"), let condition = inputs.first, let condition {
      inputs = [condition]
      for (name, truth) in [("then_branch", true), ("else_branch", false)] {
        guard case .graph(let branch)? = try node[attribute: ByteString(name)]?.value() else {
          throw NotApplicable(reason: "If without a \(name)")
        }
        let inner = graph.addRegion(Region(condition: condition, runsWhen: truth, parent: region))
        scopes.append([:])
        inputs += try add(branch, region: inner)
        scopes.removeLast()
      }
    }
    var outputs: [ValueID?] = []
    for name in node.outputs {
      if name.isEmpty {
        outputs.append(nil)
        continue
      }
      let id = graph.addValue(Value(name: unique(name)))
      scopes[scopes.count - 1][name] = id
      outputs.append(id)
    }
    graph.append(
      Node(
        op, name: unique(ByteString("node \(op)")), inputs: inputs, outputs: outputs, attributes: attributes,
        version: versions[op.domain] ?? 1, region: region))
  }

  private func constant(_ node: ONNXNode) throws -> Weight? {
    guard let attribute = node.attributes.first else { return nil }
    switch try attribute.value() {
    case .tensor(let tensor): return try tensor.weight()
    case .float(let value): return .floats([value], shape: [])
    case .floats(let values): return .floats(values, shape: [values.count])
    case .integer(let value): return .integers([value], shape: [])
    case .integers(let values): return .integers(values, shape: [values.count])
    default: throw NotApplicable(reason: "constants of this kind")
    }
  }
}
