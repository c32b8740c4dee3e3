import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("What is certain only under conditions")
struct CertaintyTests {
  private func state(_ fixture: NodeFixture, _ slot: Int = 0) throws -> [ElementState]? {
    try fixture.states().states[slot]?.states
  }

  @Test("1 < 0.5 is false, so the choice is b; 0.5 < 1 chooses a")
  func comparison() throws {
    for (first, expected) in [(Float(1), ElementState.zero), (0.25, .constant)] {
      var builder = GraphBuilder(name: "choice")
      let a = builder.initializer("a", .floats([first], shape: [1]))
      let half = builder.initializer("half", .floats([0.5], shape: [1]))
      let seven = builder.initializer("seven", .floats([7], shape: [1]))
      let zero = builder.initializer("zero", .floats([0], shape: [1]))
      let y = try builder.add("Where", [try builder.add("Less", [a, half]), seven, zero])
      builder.output("y", y)
      var graph = builder.graph
      _ = try ShapeInference.inferAll(&graph)
      let analysis = try ZeroAnalysis(graph, keeping: [y], pool: ThreadPool(threadCount: 1))
      #expect(analysis.states[y]?.states == [expected])
    }
  }

  @Test("A comparison with a computed constant, which may be rounded, leaves both branches open")
  func roundedComparison() throws {
    var builder = GraphBuilder(name: "choice")
    let one = builder.initializer("one", .floats([1], shape: [1]))
    let half = builder.initializer("half", .floats([0.5], shape: [1]))
    let zero = builder.initializer("zero", .floats([0], shape: [1]))
    let sum = try builder.add("Exp", [half])
    let y = try builder.add("Where", [try builder.add("Less", [sum, one]), one, zero])
    builder.output("y", y)
    var graph = builder.graph
    _ = try ShapeInference.inferAll(&graph)
    let analysis = try ZeroAnalysis(graph, keeping: [y], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[y]?.states == [.unknown])
  }

  @Test("Values of a cache count although nobody asks for the cache back")
  func cache() throws {
    let q = NodeFixture.Operand.shape([1, 1, 2, 1])
    let zeros = NodeFixture.Operand.weight(.zeros(type: .f32, shape: [1, 1, 2, 1]))
    #expect(try state(NodeFixture("Attention", [q, q, zeros])) == [.zero, .zero])
    #expect(
      try state(NodeFixture("Attention", [q, q, zeros, .absent, q, q])) == [.unknown, .unknown])
  }

  @Test("An extent that is 0 for one token alone makes nothing zero")
  func vacuous() throws {
    let sequence = Size.symbol("sequence")
    let shorter = try #require(sequence.subtracting(Size(1)))
    let found = try NodeFixture("Relu", [.shape([shorter, 2])]).states().states[0]
    #expect(found == nil)
  }

  @Test("An axis interpolated by a factor near 1 keeps its extent and is not itself")
  func nearlyOne() throws {
    func isSame(_ factor: Float) throws -> Bool {
      let related = try NodeFixture(
        "Resize", [.shape([1, 10]), .absent, .weight(.floats([1, factor], shape: [2]))]
      ).relations()
      return related.pins(related.input(0, 1)).isEmpty && related.same(related.input(0, 1), related.output(0, 1))
    }
    #expect(try isSame(1))
    #expect(try !isSame(1.05))
  }

  @Test("Slices of an axis of 2⁴⁰ positions are counted, not listed")
  func longSlice() throws {
    let long = 1 << 40
    let slice = NodeFixture(
      "Slice", version: 9, [.shape([Size(long)])],
      ["starts": .integers([1]), "ends": .integers([long - 1]), "axes": .integers([0])])
    #expect(try slice.shapes() == [[Size(long - 2)]])
    _ = try slice.relations()
    _ = try slice.states()
  }

  @Test("Parts of an axis of the largest extent do not overflow; totals that do are an error")
  func longSplit() throws {
    // 2⁶³ - 1 = 2 · (2⁶² - 1) + 1: the first part is one longer.
    #expect(
      try NodeFixture("Split", [.shape([Size(Int.max)])], outputs: 2).shapes() == [
        [Size(1 << 62)], [Size(1 << 62 - 1)],
      ])
    #expect(throws: GraphError.self) {
      try NodeFixture(
        "Split", version: 11, [.shape([Size(4)])], ["split": .integers([Int.max, Int.max])], outputs: 2
      ).shapes()
    }
  }

  @Test("The first position of an axis of unknown length is not the only one", arguments: ["Gather", "Split"])
  func symbolic(_ op: String) throws {
    let attributes: [String: Attribute] = ["axis": .integer(0), "split": .integers([1, 1])]
    let operands: [NodeFixture.Operand] =
      op == "Gather"
      ? [.shape([.symbol("sequence"), 2]), .weight(.integers([0, 3], shape: [2]))] : [.shape([.symbol("sequence"), 2])]
    let fixture = NodeFixture(
      op, version: op == "Split" ? 11 : Node.currentVersion, operands, attributes, outputs: op == "Split" ? 2 : 1)
    for state in try fixture.states().states { #expect(state?.worst == .unknown) }
  }

  @Test("A block longer than any runtime's is nothing that can be cut, and does not overflow")
  func blocks() throws {
    let fixture = NodeFixture(
      "MatMulNBits", domain: "com.microsoft",
      [
        .shape([1, 32]), .weight(.zeros(type: .u8, shape: [4, 1, 16])), .weight(.zeros(type: .f32, shape: [4, 1])),
      ],
      ["K": .integer(32), "N": .integer(4), "bits": .integer(.max), "block_size": .integer(.max)])
    _ = try fixture.states()
    let related = try fixture.relations()
    #expect(related.pins(related.input(1, 0)) == [.undescribed])
  }

  @Test("Rows of a matrix whose positions are permuted among blocks stay, and none is known to be zero")
  func permutedBlocks() throws {
    func fixture(_ last: [NodeFixture.Operand]) -> NodeFixture {
      NodeFixture(
        "MatMulNBits", domain: "com.microsoft",
        [
          .shape([1, 32]), .weight(.zeros(type: .u8, shape: [4, 1, 16])), .weight(.zeros(type: .f32, shape: [4, 1])),
        ] + last,
        ["K": .integer(32), "N": .integer(4), "bits": .integer(4), "block_size": .integer(32)])
    }
    let permuted = fixture([.absent, .weight(.zeros(type: .i32, shape: [32]))])
    #expect(try fixture([]).states().states[0]?.worst == .zero)
    #expect(try permuted.states().states[0]?.worst != .zero)
    let related = try permuted.relations()
    #expect(related.pins(related.input(1, 0)).contains(.gathered))
  }

  @Test("A constant of which a rule says nothing keeps the axes beside it")
  func staleConstant() throws {
    // Clip's bounds are scalars; one of four numbers is not described.
    let related = try NodeFixture(
      "Clip", [.shape([3, 4]), .weight(.floats([1, 2, 3, 4], shape: [4]))]
    ).relations()
    #expect(related.pins(related.input(0, 1)).contains(.undescribed))
    #expect(related.pins(related.output(0, 0)).contains(.undescribed))
  }
}
