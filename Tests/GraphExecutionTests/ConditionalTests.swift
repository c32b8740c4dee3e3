import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Conditionals")
struct ConditionalTests {
  /// `y = c ? (d ? a / b : a + b) : a - b` on I64.
  private func graph() -> Graph {
    var graph = Graph(name: "conditional")
    func input(_ name: String, _ type: ElementType) -> ValueID {
      let id = graph.addValue(Value(name: name, type: ValueType(type, [])))
      graph.addInput(id)
      return id
    }
    let (c, d) = (input("c", .bool), input("d", .bool))
    let (a, b) = (input("a", .i64), input("b", .i64))
    func add(_ op: String, _ inputs: [ValueID], _ name: String, in region: Int?) -> ValueID {
      let id = graph.addValue(Value(name: name))
      graph.append(Node(OperatorName(op), name: "node \(name)", inputs: inputs, outputs: [id], region: region))
      return id
    }
    let outer = graph.addRegion(Region(condition: c, runsWhen: true))
    let inner = graph.addRegion(Region(condition: d, runsWhen: true, parent: outer))
    let other = graph.addRegion(Region(condition: d, runsWhen: false, parent: outer))
    let rest = graph.addRegion(Region(condition: c, runsWhen: false))
    let quotient = add("Div", [a, b], "quotient", in: inner)
    let sum = add("Add", [a, b], "sum", in: other)
    let chosen = add("If", [d, quotient, sum], "chosen", in: outer)
    let difference = add("Sub", [a, b], "difference", in: rest)
    graph.addOutput(add("If", [c, chosen, difference], "y", in: nil))
    return graph
  }

  private func run(_ c: Bool, _ d: Bool, _ b: Int64, collecting names: Set<String> = []) throws -> [String: Tensor] {
    try GraphExecutor(graph(), threads: oneThread).run(
      inputs: [
        "c": Tensor(truths: [c], extents: []), "d": Tensor(truths: [d], extents: []),
        "a": Tensor(integers: [7], extents: []), "b": Tensor(integers: [b], extents: []),
      ], collecting: names)
  }

  @Test(
    "The branch that the conditions name gives the result",
    arguments: [(true, true, 3), (true, false, 9), (false, true, 5), (false, false, 5)])
  func selects(c: Bool, d: Bool, expected: Int64) throws {
    #expect(try run(c, d, 2)["y"]?.integers() == [expected])
  }

  @Test("Nodes of a branch that is not taken do not run")
  func skips() throws {
    #expect(try run(true, false, 0)["y"]?.integers() == [7])
    #expect(try run(false, true, 0)["y"]?.integers() == [7])
    #expect(graphError { _ = try run(true, true, 0) }?.code == .divisionByZero)
  }

  @Test("Values of a branch that is not taken are absent, and asking for them changes nothing")
  func absentValues() throws {
    let found = try run(true, false, 2, collecting: ["quotient", "sum", "difference", "chosen"])
    #expect(found["y"]?.integers() == [9])
    #expect(found["sum"]?.integers() == [9])
    #expect(found["chosen"]?.integers() == [9])
    #expect(found["quotient"] == nil)
    #expect(found["difference"] == nil)
  }

  @Test("A condition that is no single truth value is refused")
  func refusesOtherConditions() throws {
    let error = graphError {
      _ = try GraphExecutor(graph(), threads: oneThread).run(
        inputs: [
          "c": Tensor(truths: [true, false], extents: [2]), "d": Tensor(truths: [true], extents: []),
          "a": Tensor(integers: [7], extents: []), "b": Tensor(integers: [1], extents: []),
        ])
    }
    #expect(error != nil)
  }
}
