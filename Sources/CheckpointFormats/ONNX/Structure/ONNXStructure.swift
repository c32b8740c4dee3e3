import PollardBase

extension ONNXModel {
  /// Checks the rules about names and order that everything after reading relies on.
  ///
  /// Value names are defined once and before they are used, in subgraphs also against the graphs around them; operators
  /// have a type and an imported domain; functions have identities of their own and do not call themselves.
  ///
  /// - Throws: those of `checkHeader()`; `duplicateValue`, `undefinedValue`, `nodesOutOfOrder`, `cyclicNodes`,
  ///   `operatorSetMissing`, `duplicateFunction`, `functionRecursion`, `graphMalformed`.
  /// - Complexity: O(names).
  public func checkStructure() throws(FormatError) {
    try checkHeader()
    try checkFunctionCalls()
    let importsAreRequired = (irVersion ?? 0) >= 3
    var checker = ONNXScopeChecker(operatorSets: importsAreRequired ? operatorSets : nil)
    if let graph { try checker.check(graph) }
    for function in functions {
      var checker = ONNXScopeChecker(operatorSets: function.operatorSets)
      try checker.check(function)
    }
  }
}

/// Follows the definitions and uses of values through a graph and the graphs inside it.
private struct ONNXScopeChecker {
  /// The domains that nodes may use; nil in files from before there were any.
  let operatorSets: [ONNXOperatorSet]?
  /// The values that can be seen, those of the graphs around included.
  private var visible: Set<ByteString> = []
  /// The nodes of the graphs around and of the graph itself, and which of them is being checked, to tell why a value is
  /// missing.
  private var enclosing: [(nodes: [ONNXNode], current: Int)] = []

  init(operatorSets: [ONNXOperatorSet]?) { self.operatorSets = operatorSets }

  mutating func check(_ graph: ONNXGraph) throws(FormatError) {
    var defined: Set<ByteString> = []
    for input in graph.inputs {
      try define(input.name ?? "", &defined, input.wire)
    }
    // An initializer may give an input its default.
    var constants: Set<ByteString> = []
    let inputs = defined
    let initializers =
      graph.initializers.map { ($0.name, $0.wire) } + graph.sparseInitializers.map { ($0.values?.name, $0.wire) }
    for (name, wire) in initializers {
      guard let name, !name.isEmpty else { throw failure(.graphMalformed, wire, expected: "a named initializer") }
      guard constants.insert(name).inserted else { throw failure(.duplicateValue, name, wire) }
      if !inputs.contains(name) { try define(name, &defined, wire) }
    }
    try check(graph.nodes, &defined)
    for output in graph.outputs where !defined.contains(output.name ?? "") {
      throw failure(
        .undefinedValue, output.name ?? "", output.wire, expected: "a value of this graph as graph output")
    }
    visible.subtract(defined)
  }

  mutating func check(_ function: ONNXFunction) throws(FormatError) {
    var defined: Set<ByteString> = []
    for input in function.inputs { try define(input, &defined, function.wire) }
    try check(function.nodes, &defined)
    for output in function.outputs where !defined.contains(output) {
      throw failure(.undefinedValue, output, function.wire, expected: "a value of the function as its output")
    }
  }

  private mutating func check(_ nodes: [ONNXNode], _ defined: inout Set<ByteString>) throws(FormatError) {
    enclosing.append((nodes, 0))
    defer { enclosing.removeLast() }
    for (index, node) in nodes.enumerated() {
      enclosing[enclosing.count - 1].current = index
      try checkOperator(node)
      for input in node.inputs where !input.isEmpty && !visible.contains(input) {
        throw missing(input, usedBy: node)
      }
      for attribute in node.attributes {
        if let graph = attribute.graph { try check(graph) }
        for graph in attribute.graphs { try check(graph) }
      }
      for output in node.outputs where !output.isEmpty { try define(output, &defined, node.wire) }
    }
  }

  private func checkOperator(_ node: ONNXNode) throws(FormatError) {
    guard let type = node.operatorType, !type.isEmpty else {
      throw failure(.graphMalformed, node.wire, expected: "a node with an op_type")
    }
    if let operatorSets, operatorSets.version(of: node.domain ?? "") == nil {
      let domain = ONNXOperatorSet.canonicalDomain(node.domain)
      throw FormatError(
        .operatorSetMissing, file: node.wire.path, subject: .node(describe(node)), at: node.wire.location,
        expected: "an opset_import of domain \"\(domain.isEmpty ? "ai.onnx" : domain)\"", found: "none")
    }
    var names: Set<ByteString> = []
    for attribute in node.attributes where !names.insert(attribute.name ?? "").inserted {
      throw FormatError(
        .graphMalformed, file: node.wire.path, subject: .node(describe(node)), at: attribute.wire.location,
        expected: "attributes of different names", found: "two called \"\(attribute.name ?? "")\"")
    }
  }

  private mutating func define(_ name: ByteString, _ defined: inout Set<ByteString>, _ wire: ONNXWire)
    throws(FormatError)
  {
    guard !name.isEmpty else { throw failure(.graphMalformed, wire, expected: "a name") }
    guard visible.insert(name).inserted else { throw failure(.duplicateValue, name, wire) }
    defined.insert(name)
  }

  /// Why a value is not there: it is made later, it depends on this node, or nothing makes it.
  private func missing(_ name: ByteString, usedBy node: ONNXNode) -> FormatError {
    var error = failure(
      .undefinedValue, name, node.wire, expected: "a value that is defined before node \(describe(node))")
    guard let maker = enclosing.lazy.flatMap(\.nodes).first(where: { $0.outputs.contains(name) }) else { return error }
    error.code = .nodesOutOfOrder
    error.found = "it is made by node \(describe(maker)), which comes later"
    let isCyclic = enclosing.contains { level in
      depends(on: Set(level.nodes[level.current].outputs.filter { !$0.isEmpty }), from: name, in: level.nodes)
    }
    if isCyclic {
      error.code = .cyclicNodes
      error.found = "node \(describe(maker)) makes it from this node's results"
    }
    return error
  }

  /// Whether the node that makes a value needs one of some values, itself or through others.
  private func depends(on targets: Set<ByteString>, from name: ByteString, in nodes: [ONNXNode]) -> Bool {
    var makers: [ByteString: Int] = [:]
    for (index, node) in nodes.enumerated() { for output in node.outputs { makers[output] = index } }
    var seen: Set<Int> = []
    var pending = [name]
    while let value = pending.popLast() {
      if targets.contains(value) { return true }
      guard let index = makers[value], seen.insert(index).inserted else { continue }
      pending += nodes[index].valuesUsed()
    }
    return false
  }

  private func describe(_ node: ONNXNode) -> String {
    let type = node.operatorType ?? ""
    if let name = node.name, !name.isEmpty { return "\(name) (\(type))" }
    return "\(type) that makes \(node.outputs.first { !$0.isEmpty } ?? "nothing")"
  }

  private func failure(
    _ code: DiagnosticCode<FormatDomain>, _ name: ByteString, _ wire: ONNXWire, expected: String? = nil
  ) -> FormatError {
    FormatError(
      code, file: wire.path, subject: .value(name.description), at: wire.location, expected: expected)
  }

  private func failure(
    _ code: DiagnosticCode<FormatDomain>, _ wire: ONNXWire, expected: String
  ) -> FormatError {
    FormatError(code, file: wire.path, at: wire.location, expected: expected, found: "none")
  }
}

extension ONNXNode {
  /// The node's inputs, and everything that its subgraphs use; names that those define themselves are among them.
  public func valuesUsed() -> [ByteString] {
    var names = inputs
    for attribute in attributes {
      for graph in (attribute.graph.map { [$0] } ?? []) + attribute.graphs {
        for node in graph.nodes { names += node.valuesUsed() }
        names += graph.outputs.map { $0.name ?? "" }
      }
    }
    return names.filter { !$0.isEmpty }
  }
}

extension ONNXWire {
  /// The file that the message was read from.
  var path: String? { source?.source.path }
  /// Where the message begins.
  var location: DiagnosticLocation? { source.map { .byte($0.range.lowerBound) } }
}
