import PollardBase
import TensorStorage

/// Infers the types of a graph's values node by node, following small integer tensors symbolically.
///
/// Integer and truth values of rank 0 or 1 with at most 64 elements are followed element by element as sizes, so that a shape computed by
/// `Shape → Gather → Concat` still gives `Reshape` its target.
public struct ShapeInference: Sendable {
  /// Followed integer tensors by value.
  public internal(set) var integers: [ValueID: [SymbolicElement]] = [:]
  /// Longest tensor that is followed.
  static let elementLimit = 64

  /// Starts without knowledge.
  public init() {}

  /// Infers one node; its operands' types must be known already.
  ///
  /// - Throws: `shapeMismatch` and others of the operator's rule, with the node's name filled in.
  public mutating func infer(_ node: Node, in graph: inout Graph) throws(GraphError) {
    let op = OperatorRegistry.find(node.op)
    guard node.inputs.count >= op.requiredInputs, node.inputs.prefix(op.requiredInputs).allSatisfy({ $0 != nil }) else {
      throw GraphError(
        .illFormed, subject: .node(node.name), expected: "\(op.requiredInputs) operands of \(node.op)",
        found: "\(node.inputs.compactMap { $0 }.count)")
    }
    let (types, newIntegers) = try results(of: node, op, in: graph)
    for (slot, type) in types {
      guard let id = node.outputs[slot] else { continue }
      // Where the rule finds no shape, the one that the file declares stands.
      if type.shape == nil, graph[id].type?.shape != nil { continue }
      graph[id].type = type
    }
    integers.merge(newIntegers) { _, new in new }
  }

  /// What an operator's shape rule finds; apart, so that nothing refers to the graph any more when it changes.
  private func results(
    of node: Node, _ op: any Operator, in graph: Graph
  ) throws(GraphError) -> ([(Int, ValueType)], [ValueID: [SymbolicElement]]) {
    var context = InferenceContext(node: node, graph: graph, integers: integers)
    try op.infer(&context)
    return (context.types, context.newIntegers)
  }

  /// The elements of a node's small integer operands, by slot.
  package func elements(of node: Node, in graph: Graph) -> [Int: [SymbolicElement]] {
    let context = InferenceContext(node: node, graph: graph, integers: integers)
    var result: [Int: [SymbolicElement]] = [:]
    for slot in node.inputs.indices { result[slot] = context.elements(slot) }
    return result
  }

  /// Infers every node of a graph afresh; declared types of inputs and initializers are kept.
  public static func inferAll(_ graph: inout Graph) throws(GraphError) -> ShapeInference {
    var inference = ShapeInference()
    for node in graph.nodes { try inference.infer(node, in: &graph) }
    return inference
  }
}

/// What an operator's shape rule sees of its node, and where it puts what it finds.
public struct InferenceContext {
  /// The node.
  public let node: Node
  let graph: Graph
  let integers: [ValueID: [SymbolicElement]]
  var types: [(Int, ValueType)] = []
  var newIntegers: [ValueID: [SymbolicElement]] = [:]

  init(node: Node, graph: Graph, integers: [ValueID: [SymbolicElement]]) {
    self.node = node
    self.graph = graph
    self.integers = integers
  }

  /// The type of an operand, or nil when it is absent or not known.
  public func type(_ slot: Int) -> ValueType? { node.input(slot).flatMap { graph[$0].type } }

  /// The element type of an operand.
  public func element(_ slot: Int) -> ElementType? { type(slot)?.element }

  /// The shape of an operand, or nil when it is not known.
  public func shape(_ slot: Int) -> [Size]? { type(slot)?.shape }

  /// The elements of a small integer operand, or nil when it is not followed.
  public func elements(_ slot: Int) -> [SymbolicElement]? {
    guard let id = node.input(slot) else { return nil }
    if let known = integers[id] ?? newIntegers[id] { return known }
    guard let weight = graph[id].initializer, weight.shape.rank <= 1,
      weight.shape.elementCount <= ShapeInference.elementLimit, let values = try? weight.smallIntegers()
    else { return nil }
    return values.map { SymbolicElement(Size($0)) }
  }

  /// The elements of a small integer operand when all are known numbers.
  public func constants(_ slot: Int) -> [Int]? {
    guard let found = elements(slot) else { return nil }
    var result: [Int] = []
    for element in found {
      guard let value = element.size?.constant else { return nil }
      result.append(value)
    }
    return result
  }

  /// Sets the elements of a result to those of several operands, none of which is known; where they came from is kept.
  mutating func setUnknownElements(_ slot: Int, count: Int, from slots: [Int]) {
    var origins: Set<AxisReference> = []
    for slot in slots {
      guard let found = elements(slot) else { return }
      origins.formUnion(found.flatMap(\.origins))
    }
    setElements(slot, Array(repeating: SymbolicElement(nil, origins: origins), count: count))
  }

  /// A size that nothing is known of but what it is computed from: equal computations give equal sizes.
  func freshSize(_ operands: Size?...) -> Size {
    let parts = operands.map { $0?.description ?? node.name }
    return .computed(node.op.name, parts)
  }

  /// A size that depends on data.
  func dataDependentSize(_ label: String = "") -> Size { .symbol("\(node.op.name)\(label)(\(node.name))") }

  /// Sets the type of a result.
  public mutating func set(_ slot: Int, _ type: ValueType) {
    if slot < node.outputs.count { types.append((slot, type)) }
  }

  /// Sets the elements of a small integer result.
  public mutating func setElements(_ slot: Int, _ elements: [SymbolicElement]?) {
    guard let elements, elements.count <= ShapeInference.elementLimit, slot < node.outputs.count,
      let id = node.outputs[slot]
    else { return }
    newIntegers[id] = elements
  }

  /// An axis counted from the outermost, from one that may count from the end.
  public func normalised(_ axis: Int, rank: Int) throws(GraphError) -> Int {
    let result = axis < 0 ? axis + rank : axis
    guard (0..<rank).contains(result) else {
      throw failure(expected: "an axis of a tensor of rank \(rank)", found: "\(axis)")
    }
    return result
  }

  /// The shape that operands broadcast to, nil when one is not known.
  public func broadcast(_ shapes: [[Size]?]) throws(GraphError) -> [Size]? {
    var result: [Size] = []
    for shape in shapes {
      guard let shape else { return nil }
      let rank = max(result.count, shape.count)
      let a = Array(repeating: Size(1), count: rank - result.count) + result
      let b = Array(repeating: Size(1), count: rank - shape.count) + shape
      result = []
      for (x, y) in zip(a, b) {
        if x == Size(1) {
          result.append(y)
        } else if y == Size(1) || x == y {
          result.append(x)
        } else if x.constant != nil, y.constant != nil {
          throw failure(
            expected: "shapes that broadcast", found: shapes.map { "\($0 ?? [])" }.joined(separator: " and "))
        } else {
          // One of them is 1 when the model runs, or they are equal; a number above 1 is the larger in both cases.
          result.append(x.constant != nil ? x : y.constant != nil || x.description <= y.description ? y : x)
        }
      }
    }
    return result
  }

  /// An error about this node.
  public func failure(
    _ code: DiagnosticCode<GraphDomain> = .shapeMismatch, expected: String, found: String
  ) -> GraphError {
    GraphError(code, subject: .node(node.name), expected: "\(expected) for \(node.op)", found: found)
  }
}
