import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage
import Testing

@Suite("Two graphs are the same computation, or the first difference is told")
struct GraphComparisonTests {
  private func compare(_ a: SmallGraph, _ b: SmallGraph) throws -> GraphComparison {
    try GraphComparison(a.build().graph, b.build().graph, checkpointTensors: SmallGraph.checkpointTensors, pool: pool)
  }

  private func difference(_ b: SmallGraph) throws -> String? {
    switch try compare(SmallGraph(), b) {
    case .different(let sentence), .otherConstant(let sentence): sentence
    case .same: nil
    }
  }

  @Test("the same, with every value's counterpart; content of checkpoint tensors does not matter")
  func same() throws {
    var other = SmallGraph()
    other.up = [9, 9, 9, 9, 9, 9]
    let (a, b) = (try SmallGraph().build(), try other.build())
    guard
      case .same(let pairs) = try GraphComparison(
        a.graph, b.graph, checkpointTensors: SmallGraph.checkpointTensors, pool: pool)
    else {
      Issue.record("they are the same")
      return
    }
    #expect(pairs[a.neurons] == b.neurons)
    #expect(pairs[a.result] == b.result)
    // 2 inputs, 3 initializers, 4 results.
    #expect(pairs.count == 9)
  }

  @Test("other extents of a checkpoint tensor")
  func shape() throws {
    let sentence = try difference(SmallGraph(up: [1, 2, 3, 4], down: [1, 0, 0, 1]))
    #expect(sentence == "up: F32[2, 3] and F32[2, 2]")
  }

  @Test("a constant with other content")
  func constant() throws { #expect(try difference(SmallGraph(factor: 2)) == "constant factor: other content") }

  @Test("another operator")
  func node() throws {
    let sentence = try #require(try difference(SmallGraph(activation: "Sigmoid")))
    #expect(sentence.contains("Relu") && sentence.contains("Sigmoid"))
  }

  @Test("other wiring between the same operators")
  func wiring() throws {
    let sentence = try #require(try difference(SmallGraph(skipsActivation: true)))
    #expect(sentence.hasSuffix("an operand comes from elsewhere"))
  }

  @Test("another output name")
  func output() throws { #expect(try difference(SmallGraph(output: "y")) == "other inputs or outputs") }

  @Test("another number of nodes")
  func count() throws {
    var builder = GraphBuilder(name: "one")
    let x = builder.input("x", ValueType(.f32, [2]))
    builder.output("logits", try builder.add("Relu", [x]))
    let comparison = try GraphComparison(
      try SmallGraph().build().graph, builder.graph, checkpointTensors: [], pool: pool)
    guard case .different(let sentence) = comparison else {
      Issue.record("they differ")
      return
    }
    #expect(sentence == "4 nodes and 1")
  }

  @Test("other attributes of an operator")
  func attributes() throws {
    func graph(_ axis: Int) throws -> Graph {
      var builder = GraphBuilder(name: "softmax")
      let x = builder.input("x", ValueType(.f32, [2, 2]))
      builder.output("y", try builder.add("Softmax", [x], ["axis": .integer(axis)]))
      return builder.graph
    }
    guard case .different(let sentence) = try GraphComparison(graph(0), graph(1), checkpointTensors: [], pool: pool)
    else {
      Issue.record("they differ")
      return
    }
    #expect(sentence.contains("other attributes"))
  }
}
