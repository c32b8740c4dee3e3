import GraphExecution
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage
import Testing

@Suite("What of two runs is compared, and as what")
struct ComparedPartTests {
  private func compare(
    _ a: Graph, _ b: Graph, _ inputs: [String: Tensor], output: Int = 0
  ) throws -> RunComparison {
    try RunComparison(
      reference: a, other: b,
      values: [
        ComparedValue(name: "y", kind: .output, layer: nil, reference: a.outputs[output], other: b.outputs[output])
      ], inputs: inputs, pool: pool)
  }

  /// `y = Cast(x + constant)` over integers.
  private func sum(_ constant: Int64, to type: Int, isSequence: Bool = false) throws -> Graph {
    var builder = GraphBuilder(name: "sum")
    let x = builder.input("x", ValueType(.i64, [1]))
    let constant = builder.initializer("c", .integers([constant], shape: [1]))
    var y = try builder.add("Add", [x, constant])
    if type != 7 { y = try builder.add("Cast", [y], ["to": .integer(type)]) }
    guard isSequence else {
      builder.output("y", y)
      return builder.graph
    }
    var graph = builder.graph
    let row = graph.addValue(Value(name: "row"))
    graph.append(Node(OperatorName("SequenceConstruct"), name: "row", inputs: [y, y], outputs: [row]))
    graph.addOutput(row)
    return graph
  }

  @Test(
    "integers that no float tells apart are told apart", arguments: [7, 6, 12, 13, 8], [false, true])
  func integers(type: Int, isSequence: Bool) throws {
    let (a, b) = (Int64(1 << 24), Int64(1 << 24 + 1))
    let inputs = ["x": Tensor(integers: [0], extents: [1])]
    func graph(_ value: Int64) throws -> Graph { try sum(value, to: type, isSequence: isSequence) }
    #expect(try compare(graph(b), graph(b), inputs).isBitIdentical)
    let other = try compare(graph(a), graph(b), inputs)
    #expect(!other.isBitIdentical && !other.isWithin(0))
    #expect(other.values[0].differing == (isSequence ? 2 : 1))
    if !isSequence, type != 8 { #expect(other.maximumAbsolute == 1 && other.maximumULP == 1) }
    // No text is near another.
    if !isSequence, type == 8 { #expect(!other.isWithin(0.5)) }
  }

  @Test("the largest integers are told apart as well, in sequences too", arguments: [false, true])
  func large(isSequence: Bool) throws {
    let inputs = ["x": Tensor(integers: [0], extents: [1])]
    let (a, b) = (try sum(1 << 62, to: 7, isSequence: isSequence), try sum(1 << 62 + 1, to: 7, isSequence: isSequence))
    #expect(try !compare(a, b, inputs).isBitIdentical)
  }

  /// Tokens of 3 numbers looked up and multiplied: `y` of each token, and `z` of the first token of each sequence, as wide as a sequence is
  /// long.
  private func tokens(_ last: Float, _ extents: [Size]) throws -> Graph {
    var builder = GraphBuilder(name: "tokens")
    let ids = builder.input("input_ids", ValueType(.i64, extents))
    let mask = builder.input("attention_mask", ValueType(.i64, extents))
    let table = builder.initializer("table", .floats([1, 2, 3, 4, 5, last], shape: [3, 2]))
    let matrix = builder.initializer("matrix", .floats([1, 2, 3, 4, 5, last], shape: [2, 3]))
    let x = try builder.add("Gather", [table, ids])
    let factor = try builder.add("Cast", [mask], ["to": .integer(1)])
    let y = try builder.add("Mul", [x, try builder.add("Unsqueeze", [factor, builder.integers([2])])])
    let first = try builder.add("Gather", [x, builder.integerScalar(0)], ["axis": .integer(1)])
    builder.output("y", y)
    builder.output("z", try builder.add("MatMul", [first, matrix]))
    return builder.graph
  }

  @Test(
    "only positions of tokens are padding, not those of an axis that is as long by chance",
    arguments: [[Size(2), Size(3)], [.symbol("batch"), Size(3)], [.symbol("batch"), .symbol("sequence")]])
  func padding(extents: [Size]) throws {
    let inputs = [
      "input_ids": Tensor(integers: [0, 1, 2, 1, 0, 2], extents: [2, 3]),
      "attention_mask": Tensor(integers: [1, 1, 0, 1, 1, 0], extents: [2, 3]),
    ]
    let (a, b) = (try tokens(6, extents), try tokens(7, extents))
    // The tables differ at token 2, which is padding; the matrices in the last column.
    let states = try compare(a, b, inputs, output: 0)
    #expect(states.isBitIdentical)
    #expect(states.values[0].compared == 8)
    let pooled = try compare(a, b, inputs, output: 1)
    #expect(pooled.values[0].compared == 6)
    #expect(pooled.values[0].differing == 2)
  }

  @Test("a mask of numbers that are added hides nothing")
  func additive() throws {
    let (a, b) = (try SmallGraph().build(), try SmallGraph(up: [1, 2, 3, 4, 5, 7]).build())
    var inputs = SmallGraph.inputs([[1, 0], [0, 1], [1, 1]])
    inputs["attention_mask"] = Tensor(floats: [0, 0, 0], extents: [1, 3])
    var graphs = [a.graph, b.graph]
    for index in graphs.indices {
      let mask = try #require(graphs[index].value(named: "attention_mask"))
      graphs[index][mask].type = ValueType(.f32, [.symbol("batch"), .symbol("sequence")])
    }
    let result = try compare(graphs[0], graphs[1], inputs)
    #expect(result.values[0].compared == 6)
    #expect(!result.isBitIdentical)
  }
}
