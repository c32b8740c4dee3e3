import ModelGraph
import PollardBase
import TensorStorage
import Testing

private let b = Size.symbol("batch")
private let s = Size.symbol("sequence")
private let p = Size.symbol("past")

private func zeros(_ shape: Shape) -> NodeFixture.Operand { .weight(.zeros(type: .f32, shape: shape)) }

@Suite("Rules of attention operators")
struct AttentionRuleTests {
  @Test("Flat attention splits its axes by the head counts; a cache shares the heads of the keys")
  func flat() throws {
    let fixture = NodeFixture(
      "Attention",
      [
        .shape([b, s, 48]), .shape([b, s, 24]), .shape([b, s, 30]), .absent, .shape([b, 3, p, 8]),
        .shape([b, 3, p, 10]),
      ],
      ["q_num_heads": .integer(6), "kv_num_heads": .integer(3)], outputs: 3)
    let total = try #require(p.adding(s))
    #expect(try fixture.shapes() == [[b, s, 60], [b, 3, total, 8], [b, 3, total, 10]])
    let axes = try fixture.relations()
    #expect(axes.sizes(axes.input(0, 2)) == [3, 2, 8])
    #expect(axes.sizes(axes.output(0, 2)) == [3, 2, 10])
    #expect(axes.same(axes.input(4, 1), axes.output(1, 1)))
    #expect(axes.pins(axes.input(4, 1)).isEmpty)
    #expect(axes.pins(axes.input(5, 3)).isEmpty)
    #expect(axes.pins(axes.input(4, 3)) == [.implicitScale])
  }

  @Test("A fused projection is the sum of query, key and value heads, and contracts its operand")
  func fused() throws {
    let fixture = NodeFixture(
      "Attention", domain: "com.microsoft", [.shape([b, s, 16]), zeros([16, 72]), zeros([72])],
      ["num_heads": .integer(3)])
    #expect(try fixture.shapes() == [[b, s, 24]])
    let axes = try fixture.relations()
    let leaves = axes.relations.table.leaves(axes.input(1, 1)[0])
    #expect(leaves.map(axes.relations.table.size) == [3, 8, 3, 8, 3, 8])
    #expect(Set([leaves[0], leaves[2], leaves[4]]).count == 1)
    #expect(axes.same(axes.input(2, 0), axes.input(1, 1)))
    #expect(axes.same(axes.input(0, 2), axes.input(1, 0)))
    #expect(axes.sizes(axes.output(0, 2)) == [3, 8])
    #expect(axes.pins([leaves[0]]).isEmpty)
    #expect(axes.pins([leaves[1]]) == [.implicitScale])
  }

  @Test("A fused projection whose columns of values are zero gives zeros there")
  func fusedZeros() throws {
    // Two heads of size 1: queries and keys 1, the values of head 1 zero.
    let weight = Weight.floats([1, 1, 1, 1, 1, 0], shape: [1, 6])
    let fixture = NodeFixture(
      "Attention", domain: "com.microsoft", [.shape([b, s, 1]), .weight(weight), zeros([6])], ["num_heads": .integer(2)]
    )
    let (states, sums) = try fixture.states()
    #expect(states[0]?.states == [.unknown, .zero])
    #expect(sums.first?.terms == [.unknown])
  }

  @Test("Grouped queries: packed heads are the sum of g × r × h, g × h and g × h")
  func grouped() throws {
    let attributes: [String: Attribute] = ["num_heads": .integer(6), "kv_num_heads": .integer(3)]
    let packed = NodeFixture(
      "GroupQueryAttention", domain: "com.microsoft",
      [.shape([b, s, 96]), .absent, .absent, .shape([b, 3, p, 8]), .shape([b, 3, p, 8]), .shape([b]), .shape([1])],
      attributes, outputs: 3)
    #expect(try packed.shapes()[0] == [b, s, 48])
    let axes = try packed.relations()
    let leaves = axes.relations.table.leaves(axes.input(0, 2)[0])
    #expect(leaves.map(axes.relations.table.size) == [3, 2, 8, 3, 8, 3, 8])
    #expect(axes.same(axes.input(3, 1), [leaves[0]]))
    #expect(axes.sizes(axes.output(0, 2)) == [3, 2, 8])
    #expect(axes.pins([leaves[0]]).isEmpty)
    #expect(axes.pins([leaves[1]]).isEmpty)
  }

  @Test("Attention of many heads: the values' own bias decides with them")
  func many() throws {
    let operands: [NodeFixture.Operand] = [
      .shape([b, s, 2]), .shape([b, s, 2]), .weight(.floats([0, 0], shape: [1, 1, 2])),
    ]
    func states(_ bias: [Float]) throws -> [ElementState]? {
      try NodeFixture(
        "MultiHeadAttention", domain: "com.microsoft", operands + [.weight(.floats(bias, shape: [6]))],
        ["num_heads": .integer(2)]
      ).states().states[0]?.states
    }
    #expect(try states([1, 1, 1, 1, 0, 0]) == [.zero, .zero])
    #expect(try states([1, 1, 1, 1, 0, 3]) == [.zero, .unknown])
  }

  @Test("A mask of minus infinity leaves a softmax finite; what is not a number spoils its row")
  func masks() throws {
    var builder = GraphBuilder(name: "masks")
    let scores = builder.input("scores", ValueType(.f32, [b, 2, 2]))
    let condition = builder.input("condition", ValueType(.bool, [2, 2]))
    let zero = builder.scalar(0)
    let mask = try builder.add("Where", [condition, zero, builder.scalar(-.infinity)])
    let good = try builder.add("Softmax", [try builder.add("Add", [scores, mask])])
    let wrong = try builder.add("Where", [condition, zero, builder.scalar(.nan)])
    let bad = try builder.add("Softmax", [try builder.add("Add", [scores, wrong])])
    let analysis = try ZeroAnalysis(builder.graph, keeping: [good, bad], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[good]?.worst == .unknown)
    #expect(analysis.states[bad]?.worst == .poisoned)
  }

  @Test("Rotary embedding of flat heads passes them and pins their size, in both orders of operands")
  func rotary() throws {
    for (domain, operands) in [
      ("", [.shape([b, s, 24]), .shape([40, 4]), .shape([40, 4]), .typed(.i64, [b, s])]),
      ("com.microsoft", [.shape([b, s, 24]), .typed(.i64, [b, s]), .shape([40, 4]), .shape([40, 4])]),
    ] as [(String, [NodeFixture.Operand])] {
      let axes = try NodeFixture("RotaryEmbedding", domain: domain, operands, ["num_heads": .integer(3)]).relations()
      let factors = axes.relations.table.flattened(axes.input(0, 2))
      #expect(axes.sizes(axes.input(0, 2)) == [3, 8])
      #expect(axes.pins([factors[0]]).isEmpty)
      #expect(axes.pins([factors[1]]) == [.rotary])
    }
  }
}
