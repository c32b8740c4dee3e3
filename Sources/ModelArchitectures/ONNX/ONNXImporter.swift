import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// Turns the messages of an ONNX model into a graph, remembering what each value and node was read from.
struct ONNXImporter {
  let file: ONNXFile
  let model: ONNXModel
  /// Versions of nodes that came from functions with imports of their own, by the first result's name.
  let versions: [ByteString: Int64]
  var graph: Graph
  var containers: [ONNXContainer] = []
  private(set) var values: [ONNXFileValue] = []
  private(set) var fileValues: [Int] = []
  private(set) var sources: [ONNXSource] = []
  private(set) var notes: [String] = []
  var symbols = ONNXSizeSymbols()
  /// The values that can be seen, by name, innermost graph last.
  var scopes: [[ByteString: Int]] = []
  private var valueNames = ONNXUniqueNames()
  /// The graph's names of the model's inputs and outputs, which values inside branches must not take.
  private var interfaceNames: [ByteString: String] = [:]
  private var nodeNames = ONNXUniqueNames()
  /// The values around a body that it may read, and those that it does, in the order of their first use.
  var visible: Set<ByteString> = []
  var captured: [ByteString] = []

  init(_ file: ONNXFile, _ model: ONNXModel, versions: [ByteString: Int64]) {
    self.file = file
    self.model = model
    self.versions = versions
    graph = Graph(name: (model.graph?.name ?? "").description)
  }

  /// The names of sizes in the file, by symbol.
  var sizeNames: [String: ByteString] { symbols.names }

  // MARK: Graphs

  mutating func read() throws(FormatError) {
    let message = model.graph ?? ONNXGraph()
    containers = [ONNXContainer(graph: message, region: nil)]
    scopes = [[:]]
    for value in message.inputs + message.outputs {
      guard let name = value.name, interfaceNames[name] == nil else { continue }
      interfaceNames[name] = valueNames.unique(name.description)
    }
    let defaults = Dictionary(
      message.initializers.map { ($0.name ?? "", $0) }, uniquingKeysWith: { first, _ in first })
    let hasConstantInputs = (model.irVersion ?? 0) < 4
    var inputNames: Set<ByteString> = []
    for input in message.inputs {
      let name = input.name ?? ""
      if hasConstantInputs, defaults[name] != nil { continue }
      inputNames.insert(name)
      try readInput(input, default: defaults[name], among: message.inputs)
    }
    try readConstants(0, except: inputNames)
    try readNodes(0)
    for output in message.outputs {
      try checkIsSupported(output)
      let index = try find(output.name ?? "")
      containers[0].outputs.append(index)
      graph.addOutput(id(of: index))
    }
  }

  private mutating func readInput(
    _ input: ONNXValueInfo, default tensor: ONNXTensor?, among inputs: [ONNXValueInfo]
  ) throws(FormatError) {
    let type = try valueType(of: input)
    let index = define(input.name ?? "", in: 0, .input)
    let id = id(of: index)
    graph[id].type = type
    guard let type else {
      graph.addInput(id)
      return
    }
    if let tensor {
      guard let weight = try Self.weight(of: tensor, file.externalFiles) else {
        throw unsupported(input, "a default of strings or of packed elements that do not fill whole bytes")
      }
      graph[id].type = ValueType(weight.type, weight.shape.extents.map { Size($0) })
      graph.addInput(id, derivedBy: .content(weight))
    } else {
      graph.addInput(id, derivedBy: derivation(of: input, type, among: inputs))
    }
  }

  /// Reads the constants of a graph that are no nodes.
  mutating func readConstants(_ container: Int, except inputs: Set<ByteString>) throws(FormatError) {
    let message = containers[container].graph
    for (number, tensor) in message.initializers.enumerated() {
      let name = tensor.name ?? ""
      if inputs.contains(name) {
        containers[container].initializers.append(nil)
      } else if let weight = try Self.weight(of: tensor, file.externalFiles) {
        containers[container].initializers.append(define(name, in: container, .initializer(number), weight))
      } else {
        containers[container].initializers.append(nil)
        hold(
          name, try Self.opaque(tensor), "value",
          ONNXSource(container: container, kind: .initializer(number), ownOperandCount: 0))
      }
    }
    for (number, tensor) in message.sparseInitializers.enumerated() {
      hold(
        tensor.values?.name ?? "", try Self.opaque(tensor), "sparse_value",
        ONNXSource(container: container, kind: .sparseInitializer(number), ownOperandCount: 0))
    }
  }

  /// Adds a node without operands for a constant that no weight can hold.
  private mutating func hold(_ name: ByteString, _ content: Weight, _ attribute: String, _ source: ONNXSource) {
    let output = id(of: define(name, in: source.container, .node))
    sources.append(source)
    graph.append(
      Node(
        OperatorName("Constant"), name: nodeNames.unique("Constant"), inputs: [], outputs: [output],
        attributes: [attribute: .opaque(content)], version: version(of: "", nil),
        region: containers[source.container].region, source: sources.count - 1))
  }

  // MARK: Values

  mutating func define(
    _ name: ByteString, in container: Int, _ provider: ONNXFileValue.Provider, _ weight: Weight? = nil
  ) -> Int {
    values.append(ONNXFileValue(name: name, container: container, provider: provider, weight: weight))
    scopes[scopes.count - 1][name] = values.count - 1
    return values.count - 1
  }

  mutating func find(_ name: ByteString) throws(FormatError) -> Int {
    for scope in scopes.reversed() { if let index = scope[name] { return index } }
    if visible.contains(name) { return capture(name) }
    throw FormatError(.undefinedValue, subject: .value(name.description), expected: "a value that is defined")
  }

  /// The value's number in the graph; a constant enters the graph when it is first used.
  mutating func id(of index: Int) -> ValueID {
    if let id = values[index].id { return id }
    let weight = values[index].weight
    let type = weight.map { ValueType($0.type, $0.shape.extents.map { Size($0) }) }
    let reserved = values[index].container == 0 ? interfaceNames[values[index].name] : nil
    let name = reserved ?? valueNames.unique(values[index].name.description)
    let id = graph.addValue(Value(name: name, type: type, initializer: weight))
    values[index].id = id
    fileValues.append(index)
    return id
  }

  // MARK: Nodes

  mutating func readNodes(_ container: Int) throws(FormatError) {
    let nodes = containers[container].graph.nodes
    containers[container].roles.reserveCapacity(nodes.count)
    for (number, node) in nodes.enumerated() {
      let role: ONNXContainer.NodeRole
      if let constant = try readConstant(node, number, container) {
        role = .constant(constant)
      } else {
        role = .computed(try readNode(node, number, container))
      }
      containers[container].roles.append(role)
    }
  }

  /// The constant that a node makes, or nil when it makes none.
  private mutating func readConstant(
    _ node: ONNXNode, _ number: Int, _ container: Int
  ) throws(FormatError) -> Int? {
    guard ONNXOperatorSet.canonicalDomain(node.domain).isEmpty, node.outputs.count == 1, !node.outputs[0].isEmpty else {
      return nil
    }
    if node.operatorType == "Constant" {
      guard let weight = try constant(node) else { return nil }
      return define(node.outputs[0], in: container, .constant(number), weight)
    }
    guard ONNXFolding.operators.contains(node.operatorType ?? "") else { return nil }
    var operands: [Int] = []
    var weights: [Weight?] = []
    for name in node.inputs {
      if name.isEmpty {
        weights.append(nil)
        continue
      }
      let index = try find(name)
      guard let weight = values[index].weight else { return nil }
      operands.append(index)
      weights.append(weight)
    }
    let folding = ONNXFolding(node: node, version: version(of: "", node), operands: weights)
    guard let result = try folding.result() else { return nil }
    return define(node.outputs[0], in: container, .folded(number, operands: operands), result)
  }

  /// Adds a node and gives the number of its source.
  private mutating func readNode(_ node: ONNXNode, _ number: Int, _ container: Int) throws(FormatError) -> Int {
    let domain = ONNXOperatorSet.canonicalDomain(node.domain)
    let op = OperatorName((node.operatorType ?? "").description, domain: domain.description)
    let region = containers[container].region
    var inputs: [ValueID?] = []
    for name in node.inputs { inputs.append(name.isEmpty ? nil : id(of: try find(name))) }
    let ownOperandCount = inputs.count
    var attributes: [String: Attribute] = [:]
    var bodies: [NodeBody] = []
    var outputCount = node.outputs.count
    if op == OperatorName("If") {
      inputs = try readBranches(node, number, container, inputs)
      outputCount = max(outputCount, inputs.count / 2)
    } else {
      var slots: [ByteString: Int] = [:]
      for attribute in node.attributes {
        let (value, names) = try self.attribute(attribute)
        attributes[(attribute.name ?? "").description] = value
        for name in names where slots[name] == nil {
          guard let index = try? find(name) else { continue }
          slots[name] = inputs.count
          inputs.append(id(of: index))
        }
      }
      bodies = try readBodies(of: node, op, operandCount: ownOperandCount, slots)
    }
    var outputs: [ValueID?] = node.outputs.map { name in
      name.isEmpty ? nil : id(of: define(name, in: container, .node))
    }
    while outputs.count < outputCount { outputs.append(nil) }
    sources.append(ONNXSource(container: container, kind: .node(number), ownOperandCount: ownOperandCount))
    let name = (node.name ?? "").isEmpty ? op.name : (node.name ?? "").description
    var result = Node(
      op, name: nodeNames.unique(name), inputs: inputs, outputs: outputs, attributes: attributes,
      scope: ONNXScopeLabel.scope(of: node), version: version(of: domain, node), region: region,
      source: sources.count - 1)
    result.bodies = bodies
    graph.append(result)
    return sources.count - 1
  }

  /// Reads the branches of a conditional; gives the operands of the graph's node: the condition, results of one branch, of the other.
  private mutating func readBranches(
    _ node: ONNXNode, _ number: Int, _ container: Int, _ inputs: [ValueID?]
  ) throws(FormatError) -> [ValueID?] {
    guard inputs.count == 1, let condition = inputs[0] else {
      throw mismatch(node, expected: "a condition alone", found: "\(inputs.count) operands")
    }
    var operands: [ValueID?] = [condition]
    var counts: [Int] = []
    for (attribute, truth) in [(ByteString("then_branch"), true), ("else_branch", false)] {
      guard case .graph(let branch)? = try node[attribute: attribute]?.value() else {
        throw mismatch(node, expected: "a graph as \(attribute)", found: "none")
      }
      let region = graph.addRegion(
        Region(condition: condition, runsWhen: truth, parent: containers[container].region))
      let inner = containers.count
      containers.append(ONNXContainer(graph: branch, region: region))
      containers[container].branches[number, default: []].append((attribute, inner))
      scopes.append([:])
      try readConstants(inner, except: [])
      try readNodes(inner)
      for output in branch.outputs {
        let index = try find(output.name ?? "")
        containers[inner].outputs.append(index)
        operands.append(id(of: index))
      }
      scopes.removeLast()
      counts.append(branch.outputs.count)
    }
    guard counts[0] == counts[1], node.outputs.count <= counts[0] else {
      throw mismatch(
        node, expected: "\(node.outputs.count) results of both branches", found: "\(counts[0]) and \(counts[1])")
    }
    return operands
  }

  private func mismatch(_ node: ONNXNode, expected: String, found: String) -> FormatError {
    FormatError(
      .callMismatch, subject: .node((node.name ?? node.operatorType ?? "").description), expected: expected,
      found: found)
  }

  /// The version of the operator set by which a node is read; 1 in files from before there were imports.
  private func version(of domain: ByteString, _ node: ONNXNode?) -> Int {
    if !versions.isEmpty, let name = node?.outputs.first(where: { !$0.isEmpty }), let version = versions[name] {
      return Int(clamping: version)
    }
    return Int(clamping: model.operatorSetVersion(domain: domain) ?? 1)
  }
}
