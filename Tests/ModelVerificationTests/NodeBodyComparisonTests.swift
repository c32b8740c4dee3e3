import GraphExecution
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage
import Testing

/// A loop over `next = op(state, cap)`; the cap is a constant of the body.
private struct BodySample: Sendable {
  var op = "Min"
  var cap: Float = 100
  var version = Node.currentVersion
  var readsCaptured = false
  var parameter = ElementType.f32
  /// How the body is written in the file.
  var bytes: [UInt8] = [1, 2, 3]
  /// The names within the body.
  var prefix = ""
  /// Loops around the body.
  var depth = 0

  private func body(_ depth: Int) throws -> NodeBody {
    var graph = Graph(name: "body")
    func value(_ name: String, _ weight: Weight? = nil) -> ValueID {
      graph.addValue(Value(name: prefix + name, initializer: weight))
    }
    let parameters = ["round", "going", "state", "x"].map { value($0) }
    for id in parameters { graph.addInput(id) }
    let cap = value("cap", .floats([cap], shape: [1]))
    let (on, next) = (value("on"), value("next"))
    graph.append(Node(OperatorName("Identity"), name: "on", inputs: [parameters[1]], outputs: [on]))
    if depth > 0 {
      graph.append(try node(depth - 1, [nil, on, parameters[2], parameters[3]], [next]))
    } else {
      graph.append(
        Node(
          OperatorName(op), name: "next", inputs: [readsCaptured ? parameters[3] : parameters[2], cap], outputs: [next],
          version: version))
    }
    graph.addOutput(on)
    graph.addOutput(next)
    return NodeBody(
      attribute: "body", graph: graph, operandCount: 3, parameterTypes: [nil, nil, ValueType(parameter, nil)],
      captures: [3], resultTypes: [nil, nil])
  }

  private func node(_ depth: Int, _ inputs: [ValueID?], _ outputs: [ValueID?]) throws -> Node {
    var node = Node(
      OperatorName("Loop"), name: "loop", inputs: inputs, outputs: outputs,
      attributes: ["body": .opaque(.literal(bytes: bytes, type: .u8, shape: [bytes.count]))])
    node.bodies = [try body(depth)]
    return node
  }

  func graph() throws -> Graph {
    var graph = Graph(name: "loop")
    let x = graph.addValue(Value(name: "x", type: ValueType(.f32, [.symbol("n"), 4])))
    graph.addInput(x)
    let y = graph.addValue(Value(name: "y"))
    graph.append(try node(depth, [nil, nil, x, x], [y]))
    graph.addOutput(y)
    return graph
  }
}

@Suite("Graphs that nodes run are compared like the graph around them")
struct NodeBodyComparisonTests {
  private func difference(_ a: BodySample, _ b: BodySample) throws -> String? {
    switch try GraphComparison(a.graph(), b.graph(), checkpointTensors: ["cap"], pool: pool) {
    case .different(let sentence), .otherConstant(let sentence): sentence
    case .same: nil
    }
  }

  @Test("another way to write the same body is no difference", arguments: [0, 1, 2])
  func writing(depth: Int) throws {
    let a = BodySample(depth: depth)
    let b = BodySample(bytes: [9], prefix: "other ", depth: depth)
    #expect(try difference(a, b) == nil)
  }

  @Test(
    "a difference within a body is one, however deep, also where the bytes are alike",
    arguments: [0, 2],
    [
      (BodySample(op: "Max"), "Min and Max"), (BodySample(cap: 1000), "constant cap: other content"),
      (BodySample(version: 8), "another version of Min"), (BodySample(readsCaptured: true), "an operand comes from"),
      (BodySample(parameter: .f64), "other types of parameters"),
    ])
  fileprivate func within(depth: Int, other: (BodySample, String)) throws {
    var changed = other.0
    changed.depth = depth
    let sentence = try #require(try difference(BodySample(depth: depth), changed))
    #expect(sentence.contains(other.1), "\(sentence)")
  }
}
