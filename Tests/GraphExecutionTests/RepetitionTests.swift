import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// A graph with a loop whose body adds the captured `step` to its state and gives the state squared.
private struct LoopSample {
  var graph = Graph(name: "loop")
  /// What the body does with the condition that it takes.
  enum Condition {
    case kept, below(Int64), noTruth
  }

  private static func add(_ graph: inout Graph, _ op: String, _ inputs: [ValueID?], _ name: String) -> ValueID {
    let id = graph.addValue(Value(name: name))
    graph.append(Node(OperatorName(op), name: "node \(name)", inputs: inputs, outputs: [id]))
    return id
  }

  static func body(_ condition: Condition) -> NodeBody {
    var graph = Graph(name: "body")
    func input(_ name: String) -> ValueID {
      let id = graph.addValue(Value(name: name))
      graph.addInput(id)
      return id
    }
    let (iteration, going, state, step) = (input("i"), input("c"), input("x"), input("step"))
    let next = add(&graph, "Add", [state, step], "y")
    switch condition {
    case .kept: graph.addOutput(add(&graph, "Identity", [going], "d"))
    case .below(let limit):
      let bound = graph.addValue(Value(name: "limit", initializer: .integers([limit], shape: [])))
      graph.addOutput(add(&graph, "Less", [iteration, bound], "d"))
    case .noTruth: graph.addOutput(iteration)
    }
    graph.addOutput(next)
    graph.addOutput(add(&graph, "Mul", [next, next], "z"))
    return NodeBody(
      attribute: "body", graph: graph, operandCount: 3, parameterTypes: [nil, nil, nil], captures: [3],
      resultTypes: [nil, nil, ValueType(.i64, [2, .symbol("n")])])
  }

  init(_ condition: Condition, hasTrips: Bool = true) {
    func input(_ name: String) -> ValueID {
      let id = graph.addValue(Value(name: name))
      graph.addInput(id)
      return id
    }
    let (trips, start, step) = (input("trips"), input("start"), input("step"))
    let results = ["last", "all"].map { graph.addValue(Value(name: $0)) }
    var node = Node(
      OperatorName("Loop"), name: "loop", inputs: [hasTrips ? trips : nil, nil, start, step], outputs: results)
    node.bodies = [Self.body(condition)]
    graph.append(node)
    for id in results { graph.addOutput(id) }
  }

  func run(trips: Int64) throws -> [String: Tensor] {
    try GraphExecutor(graph, threads: oneThread).run(inputs: [
      "trips": Tensor(integers: [trips], extents: []), "start": Tensor(integers: [1], extents: []),
      "step": Tensor(integers: [2], extents: []),
    ])
  }
}

@Suite("Loops")
struct RepetitionTests {
  @Test("A loop runs as often as the trip count says, with values around it bound")
  func tripCount() throws {
    let result = try LoopSample(.kept).run(trips: 3)
    #expect(result["last"]?.integers() == [7])
    #expect(result["all"]?.integers() == [9, 25, 49])
    #expect(result["all"]?.extents == [3])
  }

  @Test("The condition that the body gives ends the loop, also without a trip count", arguments: [true, false])
  func condition(hasTrips: Bool) throws {
    let result = try LoopSample(.below(1), hasTrips: hasTrips).run(trips: 10)
    #expect(result["all"]?.integers() == [9, 25])
  }

  @Test("A body that never runs gives the first state, and positions of its declared shape", arguments: [0, -4, .min])
  func neverRuns(trips: Int64) throws {
    let result = try LoopSample(.kept).run(trips: trips)
    #expect(result["last"]?.integers() == [1])
    #expect(result["all"]?.extents == [0, 2, 0])
  }

  @Test("A loop that nothing can end in time is refused before it begins", arguments: [1 << 25, .max])
  func hostileTripCount(trips: Int64) throws {
    #expect(graphError { _ = try LoopSample(.kept).run(trips: trips) }?.code == .tooLarge)
    #expect(graphError { _ = try LoopSample(.kept, hasTrips: false).run(trips: 1) }?.code == .tooLarge)
  }

  @Test("A condition that is no truth value is refused")
  func noTruth() throws {
    let error = graphError { _ = try LoopSample(.noTruth).run(trips: 2) }
    #expect(error?.code == .typeMismatch)
    #expect(error?.subject == .node("loop"))
  }

  @Test("A body that gives fewer values than it takes is refused, and so is a loop without one")
  func wrongBody() throws {
    var sample = LoopSample(.kept)
    var nodes = sample.graph.nodes
    nodes[0].bodies = []
    sample.graph.replaceNodes(nodes)
    #expect(graphError { _ = try sample.run(trips: 1) }?.code == .illFormed)
    var body = LoopSample.body(.kept)
    body.operandCount = 6
    nodes[0].bodies = [body]
    sample.graph.replaceNodes(nodes)
    #expect(graphError { _ = try sample.run(trips: 1) }?.code == .illFormed)
  }

  @Test("Results that would fill the memory when they are put together are refused")
  func hostileStack() throws {
    var sample = LoopSample(.below(1 << 20))
    var nodes = sample.graph.nodes
    var body = nodes[0].bodies[0].graph
    // A view of one element as 2^33 bytes, again and again.
    let shape = body.addValue(Value(name: "shape", initializer: .integers([1 << 15, 1 << 15], shape: [2])))
    let wide = body.addValue(Value(name: "wide"))
    body.append(Node(OperatorName("Expand"), name: "expand", inputs: [body.outputs[2], shape], outputs: [wide]))
    body.addOutput(wide)
    nodes[0].bodies[0].graph = body
    let result = sample.graph.addValue(Value(name: "wide"))
    nodes[0].outputs.append(result)
    sample.graph.replaceNodes(nodes)
    sample.graph.addOutput(result)
    #expect(graphError { _ = try sample.run(trips: 1 << 20) }?.code == .tooLarge)
  }

  @Test("Bodies may be inside bodies, but not without end", arguments: [(8, true), (63, true), (80, false)])
  func nesting(depth: Int, runs: Bool) throws {
    var body = LoopSample.body(.kept)
    for _ in 1..<depth {
      var graph = Graph(name: "outer")
      let inputs = ["i", "c", "x", "step"].map { graph.addValue(Value(name: $0)) }
      for id in inputs { graph.addInput(id) }
      let one = graph.addValue(Value(name: "one", initializer: .integers([1], shape: [])))
      let (last, all) = (graph.addValue(Value(name: "last")), graph.addValue(Value(name: "all")))
      var node = Node(
        OperatorName("Loop"), name: "loop", inputs: [one, nil, inputs[2], inputs[3]], outputs: [last, all])
      node.bodies = [body]
      graph.append(node)
      for id in [inputs[1], last, last] { graph.addOutput(id) }
      body.graph = graph
    }
    var sample = LoopSample(.kept)
    var nodes = sample.graph.nodes
    nodes[0].bodies = [body]
    sample.graph.replaceNodes(nodes)
    if runs {
      #expect(try sample.run(trips: 1)["last"]?.integers() == [3])
    } else {
      #expect(graphError { _ = try sample.run(trips: 1) }?.code == .tooLarge)
    }
  }
}
