import CheckpointFormats
import PollardBase

/// Puts the nodes of a model's functions in the place of the nodes that call them.
///
/// Values inside get names of their own; a function's parameters become the call's attributes, defaults or nothing. The reader has
/// checked that functions do not call themselves.
struct ONNXInliner {
  /// The most nodes that calls may become: functions that call others twice grow without bound.
  static let largestNodeCount = 1 << 18

  private let model: ONNXModel
  private let functions: [ONNXFunctionIdentity: ONNXFunction]
  private var imports: [ONNXOperatorSet]
  private var names: Set<ByteString> = []
  /// The number that the next equal name gets; calls without a name make many.
  private var numbers: [ByteString: Int] = [:]
  private var nodeCount = 0
  /// The version of each node from a function that imports another one than the model, by the first result's name.
  private(set) var versions: [ByteString: Int64] = [:]
  /// Why the nodes cannot stand in the model's own graph, when they cannot.
  private(set) var conflict: String?
  /// What is worth telling.
  private(set) var notes: [String] = []

  /// What a function's body sees of the call.
  private struct Frame {
    var prefix: String
    var names: [ByteString: ByteString]
    var attributes: [ByteString: ONNXAttribute]
    var function: ONNXFunction
  }

  init(_ model: ONNXModel) {
    self.model = model
    functions = Dictionary(model.functions.map { ($0.identity, $0) }, uniquingKeysWith: { first, _ in first })
    imports = model.operatorSets
  }

  /// The model without functions; the model itself when it has none.
  ///
  /// - Throws: `callMismatch`, `tooManyRecords`.
  mutating func inlined() throws(FormatError) -> ONNXModel {
    guard !functions.isEmpty, var graph = model.graph else { return model }
    collectNames(graph)
    graph.nodes = try expand(graph.nodes, nil)
    var result = model
    result.graph = graph
    result.functions = []
    result.operatorSets = imports
    let count = functions.count
    notes.append(
      "the model defines \(count) function\(count == 1 ? "" : "s"); a changed model is written with their nodes in the place of calls"
    )
    return result
  }

  private mutating func collectNames(_ graph: ONNXGraph) {
    names.formUnion(graph.allNames)
  }

  private mutating func expand(_ nodes: [ONNXNode], _ frame: Frame?) throws(FormatError) -> [ONNXNode] {
    var result: [ONNXNode] = []
    for node in nodes {
      nodeCount += 1
      guard nodeCount <= Self.largestNodeCount else {
        throw FormatError(
          .tooManyRecords,
          expected: "at most \(Self.largestNodeCount) nodes when functions are put in the place of calls")
      }
      var bound = node
      if let frame { bound = try bind(node, frame) }
      if let function = functions[node.functionIdentity] {
        result += try call(function, bound, outer: frame)
        continue
      }
      for index in bound.attributes.indices where frame == nil {
        // Bodies of functions have been expanded while they were bound.
        if let graph = bound.attributes[index].graph, let expanded = try expanded(graph) {
          bound.attributes[index].graph = expanded
        }
        for place in bound.attributes[index].graphs.indices {
          if let expanded = try expanded(bound.attributes[index].graphs[place]) {
            bound.attributes[index].graphs[place] = expanded
          }
        }
      }
      result.append(bound)
    }
    return result
  }

  /// A subgraph with its calls replaced; nil when it has none.
  private mutating func expanded(_ graph: ONNXGraph) throws(FormatError) -> ONNXGraph? {
    guard graph.callsAny(of: functions) else { return nil }
    var result = graph
    result.nodes = try expand(graph.nodes, nil)
    return result
  }

  private mutating func call(
    _ function: ONNXFunction, _ node: ONNXNode, outer: Frame?
  ) throws(FormatError) -> [ONNXNode] {
    guard node.inputs.count <= function.inputs.count, node.outputs.count <= function.outputs.count else {
      throw FormatError(
        .callMismatch, subject: .node((node.name ?? function.name ?? "").description),
        at: node.wire.source.map { .byte($0.range.lowerBound) },
        expected: "at most \(function.inputs.count) operands and \(function.outputs.count) results",
        found: "\(node.inputs.count) and \(node.outputs.count)")
    }
    let label = (node.name ?? "").isEmpty ? (function.name ?? "").description : (node.name ?? "").description
    var frame = Frame(prefix: label, names: [:], attributes: [:], function: function)
    for default_ in function.attributeDefaults { frame.attributes[default_.name ?? ""] = default_ }
    for attribute in node.attributes { frame.attributes[attribute.name ?? ""] = attribute }
    for (slot, name) in function.inputs.enumerated() {
      frame.names[name] = slot < node.inputs.count ? node.inputs[slot] : ""
    }
    var forwarded: [ONNXNode] = []
    for (slot, name) in function.outputs.enumerated() where slot < node.outputs.count && !node.outputs[slot].isEmpty {
      if let operand = frame.names[name] {
        forwarded.append(ONNXNode("Identity", inputs: [operand], outputs: [node.outputs[slot]]))
      } else {
        frame.names[name] = node.outputs[slot]
      }
    }
    for entry in function.operatorSets where imports.version(of: entry.domain ?? "") == nil { imports.append(entry) }
    for inner in function.nodes { define(inner, &frame) }
    return try expand(function.nodes, frame) + forwarded
  }

  /// Gives the results of a function's node names of their own.
  private mutating func define(_ node: ONNXNode, _ frame: inout Frame) {
    for output in node.outputs where !output.isEmpty && frame.names[output] == nil {
      frame.names[output] = fresh(output, frame.prefix)
    }
  }

  private mutating func fresh(_ name: ByteString, _ prefix: String) -> ByteString {
    let base = ByteString(Array("\(prefix)/".utf8) + name.bytes)
    var candidate = base
    var number = numbers[base, default: 1]
    while !names.insert(candidate).inserted {
      number += 1
      candidate = ByteString(base.bytes + Array("_\(number)".utf8))
    }
    numbers[base] = number
    return candidate
  }

  /// A node of a function as it stands at one call.
  private mutating func bind(_ node: ONNXNode, _ frame: Frame) throws(FormatError) -> ONNXNode {
    var result = node
    result.inputs = node.inputs.map { frame.names[$0] ?? $0 }
    result.outputs = node.outputs.map { frame.names[$0] ?? $0 }
    result.name = ByteString(Array("\(frame.prefix)/".utf8) + (node.name ?? node.operatorType ?? "").bytes)
    recordVersion(of: result, frame)
    var attributes: [ONNXAttribute] = []
    for attribute in node.attributes {
      var bound = attribute
      if let reference = attribute.referenceName, !reference.isEmpty {
        guard let value = frame.attributes[reference] else { continue }
        bound = value
        bound.name = attribute.name
      } else {
        if let graph = attribute.graph { bound.graph = try bind(graph, frame) }
        for place in attribute.graphs.indices { bound.graphs[place] = try bind(attribute.graphs[place], frame) }
      }
      attributes.append(bound)
    }
    result.attributes = attributes
    return result
  }

  /// A subgraph inside a function; its own values are renamed as well.
  private mutating func bind(_ graph: ONNXGraph, _ outer: Frame) throws(FormatError) -> ONNXGraph {
    var frame = outer
    var result = graph
    for index in graph.inputs.indices { result.inputs[index].name = own(graph.inputs[index].name, &frame) }
    for index in graph.initializers.indices {
      result.initializers[index].name = own(graph.initializers[index].name, &frame)
    }
    for index in graph.sparseInitializers.indices {
      result.sparseInitializers[index].values?.name = own(graph.sparseInitializers[index].values?.name, &frame)
    }
    for node in graph.nodes { define(node, &frame) }
    result.nodes = try expand(graph.nodes, frame)
    for index in graph.outputs.indices {
      let name = graph.outputs[index].name ?? ""
      result.outputs[index].name = frame.names[name] ?? name
    }
    result.valueInfo = []
    result.quantizationAnnotations = []
    return result
  }

  private mutating func own(_ name: ByteString?, _ frame: inout Frame) -> ByteString? {
    guard let name, !name.isEmpty else { return name }
    if let known = frame.names[name] { return known }
    let new = fresh(name, frame.prefix)
    frame.names[name] = new
    return new
  }

  private mutating func recordVersion(of node: ONNXNode, _ frame: Frame) {
    let domain = node.domain ?? ""
    guard let version = frame.function.operatorSets.version(of: domain), let around = imports.version(of: domain),
      version != around, functions[node.functionIdentity] == nil
    else { return }
    if let name = node.outputs.first(where: { !$0.isEmpty }) { versions[name] = version }
    let shown = ONNXOperatorSet.canonicalDomain(domain).isEmpty ? "ai.onnx" : domain.description
    conflict =
      conflict
      ?? "function \((frame.function.name ?? "").description) imports version \(version) of \(shown), the model \(around)"
  }
}

extension ONNXGraph {
  /// Every name of a value in the graph and in those inside it.
  var allNames: Set<ByteString> {
    var result: Set<ByteString> = []
    collectNames(into: &result)
    return result
  }

  private func collectNames(into result: inout Set<ByteString>) {
    for value in inputs + outputs + valueInfo { result.insert(value.name ?? "") }
    for tensor in initializers { result.insert(tensor.name ?? "") }
    for tensor in sparseInitializers { result.insert(tensor.values?.name ?? "") }
    for node in nodes {
      result.formUnion(node.inputs)
      result.formUnion(node.outputs)
      for attribute in node.attributes {
        attribute.graph?.collectNames(into: &result)
        for graph in attribute.graphs { graph.collectNames(into: &result) }
      }
    }
  }

  /// Whether a node, at any depth, calls one of some functions.
  func callsAny(of functions: [ONNXFunctionIdentity: ONNXFunction]) -> Bool {
    nodes.contains { node in
      functions[node.functionIdentity] != nil
        || node.attributes.contains { attribute in
          (attribute.graph?.callsAny(of: functions) ?? false)
            || attribute.graphs.contains { $0.callsAny(of: functions) }
        }
    }
  }
}
