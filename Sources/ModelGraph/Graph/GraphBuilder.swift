import PollardBase
import TensorStorage

/// Builds a graph node by node, inferring types as it goes.
///
/// Names of intermediate values are made from the current scope and the operator. The builder reports the first operand that does not fit
/// by throwing `GraphError` from the call that adds the node.
public struct GraphBuilder {
  /// The graph so far.
  public private(set) var graph: Graph
  /// The label given to nodes added from now on, such as `encoder.layer.3.attention`.
  public var scope = ""
  private var inference: ShapeInference
  private var counters: [String: Int] = [:]

  /// Starts an empty graph.
  public init(name: String) {
    graph = Graph(name: name)
    inference = ShapeInference()
  }

  /// Adds an input; `derivedBy` says how it is filled when left out.
  public mutating func input(_ name: String, _ type: ValueType, derivedBy rule: DerivedInput? = nil) -> ValueID {
    let id = graph.addValue(Value(name: name, type: type))
    graph.addInput(id, derivedBy: rule)
    return id
  }

  /// Adds a constant tensor. Each call makes a new value, also for equal content.
  public mutating func initializer(_ name: String, _ weight: Weight) -> ValueID {
    let type = ValueType(weight.type, weight.shape.extents.map { Size($0) })
    return graph.addValue(Value(name: name, type: type, initializer: weight))
  }

  /// Adds a small constant list of integers, as shapes and axes are.
  public mutating func integers(_ values: [Int]) -> ValueID {
    initializer(uniqueName("constant"), .integers(values.map(Int64.init), shape: [values.count]))
  }

  /// Adds a constant scalar.
  public mutating func scalar(_ value: Float) -> ValueID {
    initializer(uniqueName("constant"), .floats([value], shape: []))
  }

  /// Adds an integer scalar.
  public mutating func integerScalar(_ value: Int) -> ValueID {
    initializer(uniqueName("constant"), .integers([Int64(value)], shape: []))
  }

  /// Adds a node with one result and gives the result.
  ///
  /// - Throws: whatever shape inference of the operator finds wrong.
  public mutating func add(
    _ op: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:], name: String? = nil
  ) throws(GraphError) -> ValueID {
    try add(op, inputs, attributes, outputs: 1, name: name)[0]
  }

  /// Adds a node with several results.
  ///
  /// - Throws: whatever shape inference of the operator finds wrong.
  public mutating func add(
    _ op: String, _ inputs: [ValueID?], _ attributes: [String: Attribute] = [:], outputs count: Int, name: String? = nil
  ) throws(GraphError) -> [ValueID] {
    let nodeName = name ?? uniqueName(op)
    var outputs: [ValueID] = []
    for slot in 0..<count {
      outputs.append(graph.addValue(Value(name: count == 1 ? nodeName : "\(nodeName).\(slot)")))
    }
    let node = Node(
      OperatorName(op), name: nodeName, inputs: inputs, outputs: outputs, attributes: attributes, scope: scope)
    try inference.infer(node, in: &graph)
    graph.append(node)
    return outputs
  }

  /// Declares an output under the name that callers see.
  public mutating func output(_ name: String, _ id: ValueID) {
    graph[id].name = name
    graph.addOutput(id)
  }

  /// Names a value in between.
  public mutating func tap(_ name: String, _ id: ValueID) { graph.addTap(name, id) }

  /// The type of a value.
  public func type(of id: ValueID) -> ValueType? { graph[id].type }

  private mutating func uniqueName(_ base: String) -> String {
    let full = scope.isEmpty ? base : "\(scope)/\(base)"
    let count = counters[full, default: 0]
    counters[full] = count + 1
    return count == 0 ? full : "\(full)_\(count)"
  }
}
