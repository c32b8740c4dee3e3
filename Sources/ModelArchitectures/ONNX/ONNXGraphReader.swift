import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// Reads the messages of an ONNX file into the graph that everything works on.
struct ONNXGraphReader {
  private let file: ONNXFile
  private(set) var graph: Graph
  /// The value of each name that can be seen, innermost graph last.
  private var scopes: [[ByteString: ValueID]] = [[:]]
  /// The file's name of each value.
  private(set) var names: [ValueID: ByteString] = [:]
  /// The nodes of the file that were turned into constants: the value, and what it was made of.
  private(set) var folded: [ValueID: FoldedConstant] = [:]
  private var usedNames: Set<String> = []
  private var usedNodeNames: Set<String> = []
  private(set) var notes: [String] = []

  /// A constant that the file computes by a node.
  struct FoldedConstant: Sendable {
    /// The node's index among the nodes of the main graph.
    var node: Int
    /// The constants it is computed from.
    var operands: [ValueID]
  }

  init(_ file: ONNXFile) {
    self.file = file
    graph = Graph(name: file.graph.name?.description ?? "graph")
  }

  mutating func read() throws {
    let message = file.graph
    var constants: [ByteString: ONNXTensor] = [:]
    for tensor in message.initializers { if let name = tensor.name { constants[name] = tensor } }
    for input in message.inputs {
      guard let name = input.name else { continue }
      if constants[name] != nil, (file.model.irVersion ?? 0) < 4 { continue }
      let id = add(name, type: try type(input))
      let rule = try constants[name].map { DerivedInput.content(try file.weight(of: $0)) } ?? Self.derivation(of: name)
      graph.addInput(id, derivedBy: rule)
      constants[name] = nil
    }
    for tensor in message.initializers {
      guard let name = tensor.name, constants[name] != nil else { continue }
      addConstant(name, try file.weight(of: tensor))
    }
    for (index, node) in message.nodes.enumerated() { try read(node, index) }
    for output in message.outputs {
      guard let name = output.name, let id = find(name) else { continue }
      graph.addOutput(id)
    }
  }

  private static func derivation(of name: ByteString) -> DerivedInput? {
    switch name {
    case "attention_mask": .ones
    case "token_type_ids": .zeros
    default: nil
    }
  }

  private mutating func add(_ name: ByteString, type: ValueType? = nil) -> ValueID {
    var text = name.description
    var number = 1
    while !usedNames.insert(text).inserted {
      text = "\(name.description)~\(number)"
      number += 1
    }
    let id = graph.addValue(Value(name: text, type: type))
    names[id] = name
    scopes[scopes.count - 1][name] = id
    return id
  }

  @discardableResult
  private mutating func addConstant(_ name: ByteString, _ weight: Weight) -> ValueID {
    let id = add(name, type: ValueType(weight.type, weight.shape.extents.map { Size($0) }))
    graph[id].initializer = weight
    return id
  }

  private func find(_ name: ByteString) -> ValueID? {
    for scope in scopes.reversed() { if let id = scope[name] { return id } }
    return nil
  }

  private func type(_ value: ONNXValueInfo) throws -> ValueType {
    guard let tensor = value.type?.tensor, let number = tensor.elementType,
      let element = ONNXDataType(rawValue: number)?.elementType
    else {
      throw FormatError(
        .unexpectedType, file: file.source.path, subject: .tensor(value.name?.description ?? ""),
        expected: "a tensor of a known element type", found: "another type")
    }
    guard let shape = tensor.shape else { return ValueType(element, nil) }
    return ValueType(
      element,
      shape.dimensions.enumerated().map { axis, dimension in
        if let value = dimension.value, value >= 0 { return Size(Int(value)) }
        if let name = dimension.parameter?.description, !name.isEmpty { return Self.size(name) }
        return .symbol("\(value.name?.description ?? "").\(axis)")
      })
  }

  /// A named extent; sums of names and numbers, as exporters write them, are taken apart.
  private static func size(_ text: String) -> Size {
    let terms = text.split(separator: "+").map { String($0.filter { $0 != " " }) }
    guard terms.count > 1 else { return .symbol(text) }
    var total = Size(0)
    for term in terms {
      guard !term.isEmpty, let next = total.adding(Int(term).map { Size($0) } ?? .symbol(term)) else {
        return .symbol(text)
      }
      total = next
    }
    return total
  }

  private mutating func read(_ message: ONNXNode, _ index: Int) throws {
    let domain = message.domain?.description ?? ""
    let op = OperatorName(message.operatorType?.description ?? "", domain: domain == "ai.onnx" ? "" : domain)
    let inputs = message.inputs.map { $0.isEmpty ? nil : find($0) }
    var attributes: [String: Attribute] = [:]
    for attribute in message.attributes {
      attributes[attribute.name?.description ?? ""] = try self.attribute(attribute)
    }
    if let weight = try constant(op, inputs, attributes, message), let name = message.outputs.first {
      let id = addConstant(name, weight)
      folded[id] = FoldedConstant(node: index, operands: inputs.compactMap { $0 })
      return
    }
    let outputs = message.outputs.map { $0.isEmpty ? nil : Optional(add($0)) }
    var name = message.name?.description ?? ""
    if name.isEmpty { name = "\(op.name)_\(index)" }
    let base = name
    var number = 1
    while !usedNodeNames.insert(name).inserted {
      name = "\(base)~\(number)"
      number += 1
    }
    let scope = message.metadata.first { $0.key == "pkg.torch.onnx.name_scopes" }?.value?.description ?? ""
    graph.append(
      Node(
        op, name: name, inputs: inputs, outputs: outputs, attributes: attributes,
        scope: scope.isEmpty ? base : scope.split { "[]', ".contains($0) }.joined(separator: "/"),
        version: Int(clamping: file.model.operatorSetVersion(domain: ByteString(op.domain)) ?? 1), source: index))
  }

  private func attribute(_ message: ONNXAttribute) throws -> Attribute {
    switch try message.value() {
    case .float(let value): return .float(value)
    case .integer(let value): return .integer(Int(value))
    case .string(let value): return .string(value.description)
    case .floats(let values): return .floats(values)
    case .integers(let values): return .integers(values.map { Int($0) })
    case .strings(let values): return .strings(values.map(\.description))
    case .tensor(let tensor): return .tensor(try file.weight(of: tensor))
    default: return .opaque(.literal(bytes: [], type: .u8, shape: [0]))
    }
  }

  /// The constant that a node computes, where that is known without evaluating anything.
  private func constant(
    _ op: OperatorName, _ inputs: [ValueID?], _ attributes: [String: Attribute], _ message: ONNXNode
  ) throws -> Weight? {
    guard op.domain.isEmpty else { return nil }
    if op.name == "Constant" {
      switch attributes.first?.value {
      case .tensor(let weight)?: return weight
      case .integer(let value)?: return .integers([Int64(value)], shape: [])
      case .integers(let values)?: return .integers(values.map(Int64.init), shape: [values.count])
      case .float(let value)?: return .floats([value], shape: [])
      case .floats(let values)?: return .floats(values, shape: [values.count])
      default: return nil
      }
    }
    guard let first = inputs.first.flatMap({ $0 }).flatMap({ graph[$0].initializer }) else { return nil }
    switch op.name {
    case "Identity": return first
    case "Transpose":
      if case .integers(let order)? = attributes["perm"], order.count == first.shape.rank {
        return first.transposed(order)
      }
      return first.transposed(Array((0..<first.shape.rank).reversed()))
    default: return nil
    }
  }
}
