import GraphCompaction
import ModelGraph
import TensorStorage
import Testing

/// A block of width 32 with 4 heads of size 8 and 64 neurons, as an exporter writes it: target shapes computed from the input's shape.
struct ExportedBlock {
  var tensors = Tensors()

  init() {
    for name in ["q", "k", "v", "o"] {
      tensors.make(name, [32, 32])
      tensors.make(name + ".bias", [32])
    }
    tensors.make("up", [32, 64])
    tensors.make("up.bias", [64])
    tensors.make("down", [64, 32])
    tensors.make("norm", [32])
    tensors.make("norm.bias", [32])
  }

  func graph() throws -> Graph {
    var b = GraphBuilder(name: "block")
    func constant(_ name: String) -> ValueID { b.initializer(name, tensors.weight(name)) }
    let x = b.input("x", ValueType(.f32, [.symbol("batch"), .symbol("sequence"), 32]))
    let batch = try b.add("Shape", [x], ["start": .integer(0), "end": .integer(1)])
    let length = try b.add("Shape", [x], ["start": .integer(1), "end": .integer(2)])
    let headShape = b.integers([-1, 4, 8])
    var parts: [ValueID] = []
    for name in ["q", "k", "v"] {
      let y = try b.add("Add", [constant(name + ".bias"), try b.add("MatMul", [x, constant(name)])])
      let target = try b.add("Concat", [batch, headShape], ["axis": .integer(0)])
      let heads = try b.add("Reshape", [y, target], ["allowzero": .integer(1)], name: "split.\(name)")
      parts.append(try b.add("Transpose", [heads], ["perm": .integers(name == "k" ? [0, 2, 3, 1] : [0, 2, 1, 3])]))
    }
    let scores = try b.add("Mul", [try b.add("MatMul", [parts[0], parts[1]]), b.scalar(0.35)])
    let weights = try b.add("Softmax", [scores], ["axis": .integer(-1)])
    var y = try b.add("Transpose", [try b.add("MatMul", [weights, parts[2]])], ["perm": .integers([0, 2, 1, 3])])
    let joined = try b.add("Concat", [batch, length, b.integers([32])], ["axis": .integer(0)])
    y = try b.add("Reshape", [y, joined], name: "join")
    y = try b.add("Add", [constant("o.bias"), try b.add("MatMul", [y, constant("o")])])
    y = try b.add("Add", [y, x])
    let norm = [constant("norm"), constant("norm.bias")]
    y = try b.add("LayerNormalization", [y] + norm)
    let inner = try b.add("Gelu", [try b.add("Add", [try b.add("MatMul", [y, constant("up")]), constant("up.bias")])])
    y = try b.add("Add", [y, try b.add("MatMul", [inner, constant("down")])])
    y = try b.add("LayerNormalization", [y] + norm)
    b.output("y", y)
    try b.graph.validate()
    return b.graph
  }
}

@Suite("The worked example: a BERT block of 4 heads with dynamic batch and sequence")
struct WorkedExampleTests {
  @Test("n is heads, f neurons, h score size, hv value size, and the width is pinned by the norm")
  func dimensions() throws {
    let map = try DimensionMap(try ExportedBlock().graph())
    let found = Dictionary(map.dimensions.map { ($0.kind, $0) }, uniquingKeysWith: { a, _ in a })
    #expect(map.dimensions.count == 4)
    #expect(found[.heads]?.size == 4)
    #expect(found[.heads]?.uses.count == 7, "three matrices, three biases, the rows of the output projection")
    #expect(found[.valueSize]?.size == 8)
    #expect(found[.scoreSize]?.size == 8)
    #expect(found[.neurons]?.size == 64)
    #expect(found[.neurons]?.uses.count == 3)
    #expect(map.pinned.count == 1)
    #expect(map.pinned.first?.size == 32)
    #expect(map.pinned.first?.reasons.map(\.reason).contains(.norm) == true)
    #expect(map.layers.count == 1)
    #expect(map.layers.first?.heads?.count == 4)
  }

  @Test(
    "Head 2 with zero values is dead and 24 of 32 columns stay; the four reshapes get new constants and the FFN none")
  func cut() throws {
    var block = ExportedBlock()
    block.tensors.set("v", columns: 16..<24)
    block.tensors.set("v.bias", columns: 16..<24)
    let graph = try block.graph()
    let map = try DimensionMap(graph)
    let plan = try CompactionPlan.make(map)
    #expect(plan.layers.first?.heads?.units.removed == [RemovedUnit(index: 2, reason: .dead, rule: "H2")])
    #expect(plan.layers.first?.heads?.units.kept == [0, 1, 3])
    let small = try plan.apply(to: map)
    try small.validate()
    for name in ["q", "k", "v"] {
      #expect(small.extents(name) == [32, 24])
      #expect(small.extents(name + ".bias") == [24])
      let shape = try #require(small.nodes.first { $0.name == "split.\(name)" }?.inputs[1])
      #expect(try small[shape].initializer?.smallNumbers() == [0, 0, 3, 8])
    }
    #expect(small.extents("o") == [24, 32])
    let shape = try #require(small.nodes.first { $0.name == "join" }?.inputs[1])
    #expect(try small[shape].initializer?.smallNumbers() == [0, 0, 24])
    #expect(small.extents("up") == [32, 64])
    let old = try #require(try graph.numbers("q"))
    let kept = (0..<32).flatMap { row in (0..<32).filter { $0 / 8 != 2 }.map { old[row * 32 + $0] } }
    #expect(try small.numbers("q") == kept)
    let inputs = ["x": Reference(shape: [2, 5, 32], data: (0..<320).map { Double($0 % 37) / 20 - 0.9 })]
    #expect(try small.output(inputs) == graph.output(inputs))
  }
}
