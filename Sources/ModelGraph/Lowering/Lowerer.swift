import PollardBase
import TensorStorage

/// Rewrites a graph node by node for an older operator set; one for all rules, so that nothing is copied between them.
final class Lowerer {
  let operatorSet: Int
  private let missing: Set<String>
  private(set) var graph: Graph
  private var nodes: [Node] = []
  private var inference = ShapeInference()
  private var names: Set<String>
  /// Values that several nodes share, by what they are.
  var shared: [SharedValue: ValueID] = [:]

  init(_ graph: Graph, to operatorSet: Int, without missing: Set<String>) {
    self.missing = missing
    self.graph = graph
    self.operatorSet = operatorSet
    names = Set(graph.values.map(\.name))
    nodes.reserveCapacity(graph.nodes.count * 2)
  }

  /// The graph with the nodes lowered so far.
  var result: Graph {
    var result = graph
    result.replaceNodes(nodes)
    return result
  }

  /// Appends a node, or what it is lowered to.
  func lower(_ node: Node) throws(GraphError) {
    guard node.op.domain.isEmpty else { return nodes.append(node) }
    if let rule = Lowering.table[node.op.name]?.first(where: { applies($0, to: node) }) {
      var context = LoweringContext(node: node, rule: rule, lowerer: self)
      return try rule.rule(&context)
    }
    guard let wanted = OperatorVersions.version(of: node.op.name, in: operatorSet) else {
      throw GraphError(
        .unsupported, subject: .node(node.name),
        expected: OperatorVersions.first(of: node.op.name).map { "operator set \($0) or newer for \(node.op)" }
          ?? "an operator of ONNX",
        found: "\(operatorSet)", remedy: "ask for a newer operator set")
    }
    guard node.version >= operatorSet || OperatorVersions.version(of: node.op.name, in: node.version) == wanted else {
      throw GraphError(
        .unsupported, subject: .node(node.name), expected: "operator set \(node.version) or older for \(node.op)",
        found: "\(operatorSet)")
    }
    var node = node
    node.version = operatorSet
    nodes.append(node)
  }

  private func applies(_ rule: Lowering, to node: Node) -> Bool {
    // A rule leaves its mark in the version, so that the next older form is tried next.
    (rule.since > operatorSet || missing.contains(rule.op)) && rule.since <= node.version
  }

  /// A name that no value has, made from a wish.
  func uniqueName(_ wish: String) -> String {
    var name = wish
    var count = 1
    while !names.insert(name).inserted {
      name = "\(wish)_\(count)"
      count += 1
    }
    return name
  }

  /// Adds a value that no node provides yet.
  func addValue(_ value: Value) -> ValueID { graph.addValue(value) }

  /// Infers the results of a node in its newest form.
  func infer(_ node: Node) throws(GraphError) { try inference.infer(node, in: &graph) }

  /// The numbers of a small constant.
  func constants(_ id: ValueID) -> [Int]? {
    graph[id].initializer.flatMap { $0.shape.elementCount <= ShapeInference.elementLimit ? $0 : nil }
      .flatMap { try? $0.smallIntegers() }
  }
}

/// What makes a value that several lowered nodes can share.
struct SharedValue: Hashable {
  var kind: String
  var operands: [ValueID?]
  var sizes: [Size]
  var region: Int?
}
