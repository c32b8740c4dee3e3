import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// One node with operands of given shapes.
private struct Single {
  var builder = GraphBuilder(name: "single")
  var inputs: [ValueID] = []

  init(_ shapes: [[Size]]) {
    for (index, shape) in shapes.enumerated() { inputs.append(builder.input("x\(index)", ValueType(.f32, shape))) }
  }

  mutating func add(
    _ op: String, _ more: [ValueID] = [], _ attributes: [String: Attribute] = [:], outputs: Int = 1
  ) throws -> [[Size]?] {
    let results = try builder.add(op, inputs + more, attributes, outputs: outputs)
    return results.map { builder.type(of: $0)?.shape }
  }

  /// The axes of the operands and results, and the table.
  func relations() throws -> (AxisRelations, inputs: [[Axis]], outputs: [[Axis]]) {
    var graph = builder.graph
    let relations = AxisRelations(graph, inference: try ShapeInference.inferAll(&graph))
    let node = try #require(graph.nodes.last)
    func axes(_ ids: [ValueID?]) -> [[Axis]] { ids.map { $0.flatMap { relations.valueAxes[$0] } ?? [] } }
    return (relations, axes(node.inputs), axes(node.outputs))
  }
}

private let b = Size.symbol("batch")
private let s = Size.symbol("sequence")

@Suite("Shape and axis rules of the operators")
struct OperatorRuleTests {
  private func same(_ relations: AxisRelations, _ a: Axis, _ b: Axis) -> Bool {
    relations.table.flattened(a) == relations.table.flattened(b)
  }

  @Test("Every operator documents itself and has a name of its own")
  func documented() {
    var seen: Set<OperatorName> = []
    for op in OperatorRegistry.all {
      #expect(seen.insert(op.name).inserted)
      let text = op.documentation
      #expect(![text.summary, text.shapes, text.axes, text.zeros, text.source].contains(""), "\(op.name)")
    }
  }

  @Test("must not fire: an operator nobody described has no shapes, and pins every axis")
  func opaque() throws {
    var single = Single([[b, 12]])
    #expect(try single.add("NobodyKnowsThis") == [nil])
    let (relations, inputs, _) = try single.relations()
    #expect(relations.table.pins(inputs[0][1][0]).contains { $0.reason == .undescribed })
  }

  @Test("Pointwise operators repeat extent 1 and join equal axes, right-aligned")
  func pointwise() throws {
    var single = Single([[b, 4, 1, 8], [s, 8]])
    #expect(try single.add("Add") == [[b, 4, s, 8]])
    let (relations, inputs, outputs) = try single.relations()
    #expect(same(relations, inputs[0][3], inputs[1][1]))
    #expect(same(relations, outputs[0][2], inputs[1][0]))
    #expect(same(relations, outputs[0][1], inputs[0][1]))
    var wrong = Single([[4], [3]])
    #expect(throws: GraphError.self) { try wrong.add("Mul") }
  }

  @Test("MatMul contracts the last axis with the rows")
  func matmul() throws {
    var single = Single([[b, s, 16], [16, 48]])
    #expect(try single.add("MatMul") == [[b, s, 48]])
    let (relations, inputs, outputs) = try single.relations()
    #expect(relations.contractions.count == 1)
    #expect(same(relations, relations.contractions[0].axis, inputs[1][0]))
    #expect(same(relations, inputs[0][2], inputs[1][0]))
    #expect(same(relations, outputs[0][2], inputs[1][1]))
    #expect(!same(relations, outputs[0][2], inputs[1][0]))
    var wrong = Single([[b, 16], [8, 48]])
    #expect(throws: GraphError.self) { try wrong.add("MatMul") }
  }

  @Test("Reshape to heads splits the axis; copied and computed extents resolve")
  func reshape() throws {
    var single = Single([[b, s, 32]])
    let target = single.builder.integers([0, -1, 4, 8])
    #expect(try single.add("Reshape", [target]) == [[b, s, 4, 8]])
    let (relations, inputs, outputs) = try single.relations()
    #expect(relations.table.flattened(inputs[0][2]) == relations.table.flattened(outputs[0][2] + outputs[0][3]))
    var wrong = Single([[3, 5]])
    let bad = wrong.builder.integers([4, -1])
    #expect(throws: GraphError.self) { try wrong.add("Reshape", [bad]) }
  }

  @Test("Attention joins query heads with groups times queries per group, and pins keys and an implicit scale")
  func attention() throws {
    var single = Single([[b, 6, s, 8], [b, 3, s, 8], [b, 3, s, 10]])
    #expect(try single.add("Attention") == [[b, 6, s, 10]])
    let (relations, inputs, outputs) = try single.relations()
    let heads = relations.table.flattened(inputs[0][1])
    #expect(heads.map(relations.table.size) == [3, 2])
    #expect(heads.first == relations.table.flattened(inputs[1][1]).first)
    #expect(same(relations, outputs[0][1], inputs[0][1]))
    #expect(same(relations, outputs[0][3], inputs[2][3]))
    #expect(relations.table.pins(inputs[0][3][0]).contains { $0.reason == .implicitScale })
    #expect(relations.table.pins(inputs[1][2][0]).contains { $0.reason == .softmax })
    var uneven = Single([[b, 5, s, 8], [b, 3, s, 8], [b, 3, s, 8]])
    #expect(throws: GraphError.self) { try uneven.add("Attention") }
    var rank = Single([[b, s, 8], [b, s, 8], [b, s, 8]])
    #expect(throws: GraphError.self) { try rank.add("Attention") }
  }

  @Test("must not pin: a literal scale leaves the head size free")
  func literalScale() throws {
    var single = Single([[b, 2, s, 8], [b, 2, s, 8], [b, 2, s, 8]])
    _ = try single.add("Attention", [], ["scale": .float(0.5)])
    let (relations, inputs, _) = try single.relations()
    #expect(!relations.table.pins(inputs[0][3][0]).contains { $0.reason == .implicitScale })
  }

  @Test("Split makes the axis the sum of its parts; Concat the same backwards")
  func splitAndConcat() throws {
    var split = Single([[b, 24]])
    let sizes = split.builder.integers([16, 4, 4])
    #expect(try split.add("Split", [sizes], ["axis": .integer(-1)], outputs: 3) == [[b, 16], [b, 4], [b, 4]])
    let (relations, inputs, outputs) = try split.relations()
    #expect(relations.table.leaves(inputs[0][1][0]) == outputs.map { relations.table.root($0[1][0]) })
    var concat = Single([[b, 3], [b, 5]])
    #expect(try concat.add("Concat", [], ["axis": .integer(1)]) == [[b, 8]])
    let (joined, parts, whole) = try concat.relations()
    #expect(joined.table.leaves(whole[0][1][0]) == parts.map { joined.table.root($0[1][0]) })
    var wrong = Single([[b, 24]])
    let bad = wrong.builder.integers([16, 4])
    #expect(throws: GraphError.self) { try wrong.add("Split", [bad], ["axis": .integer(1)], outputs: 2) }
  }

  @Test("A constant slice makes the axis what is before, taken and after")
  func slice() throws {
    var single = Single([[b, 10]])
    let operands = [single.builder.integers([2]), single.builder.integers([6]), single.builder.integers([1])]
    #expect(try single.add("Slice", operands) == [[b, 4]])
    let (relations, inputs, outputs) = try single.relations()
    #expect(relations.table.leaves(inputs[0][1][0]).map(relations.table.size) == [2, 4, 4])
    #expect(relations.table.leaves(inputs[0][1][0])[1] == relations.table.root(outputs[0][1][0]))
  }

  @Test(
    "Norms, softmax, running sums, maxima and rotations pin the axis they run over, and pass the others",
    arguments: [
      ("Softmax", PinReason.softmax, 0), ("LayerNormalization", .norm, 2), ("RMSNormalization", .norm, 1),
      ("RotaryEmbedding", .rotary, 2),
    ])
  func pinned(_ op: String, _ reason: PinReason, _ extra: Int) throws {
    var single = Single([[b, 4, s, 8]])
    let more = (0..<extra).map {
      op == "RotaryEmbedding"
        ? single.builder.input("angle\($0)", ValueType(.f32, [b, s, 4]))
        : single.builder.initializer("scale\($0)", .zeros(type: .f32, shape: [8]))
    }
    #expect(try single.add(op, more) == [[b, 4, s, 8]])
    let (relations, inputs, outputs) = try single.relations()
    #expect(relations.table.pins(inputs[0][3][0]).contains { $0.reason == reason })
    #expect(!relations.table.pins(inputs[0][1][0]).contains { $0.reason == reason })
    for axis in 0..<4 { #expect(same(relations, inputs[0][axis], outputs[0][axis])) }
  }

  @Test("Gather pins what it selects from and passes the rest")
  func gather() throws {
    var single = Single([[100, 16]])
    let places = single.builder.input("places", ValueType(.i64, [b, s]))
    #expect(try single.add("Gather", [places]) == [[b, s, 16]])
    let (relations, inputs, outputs) = try single.relations()
    #expect(relations.table.pins(inputs[0][0][0]).contains { $0.reason == .gathered })
    #expect(same(relations, inputs[0][1], outputs[0][2]))
  }

  @Test("A statement about an axis of unknown shape pins what it names instead of claiming it")
  func unknownPartner() throws {
    var builder = GraphBuilder(name: "unknown")
    let x = builder.input("x", ValueType(.f32, [b, 12]))
    let unknown = try builder.add("NobodyKnowsThis", [builder.input("z", ValueType(.f32, [b, 12]))])
    _ = try builder.add("Add", [x, unknown])
    var graph = builder.graph
    let relations = AxisRelations(graph, inference: try ShapeInference.inferAll(&graph))
    let axes = try #require(relations.valueAxes[x])
    #expect(relations.table.pins(axes[1][0]).contains { $0.reason == .undescribed })
  }

  @Test("A shape computed from extents is followed through Shape, Gather, Unsqueeze and Concat")
  func followed() throws {
    var builder = GraphBuilder(name: "shapes")
    let x = builder.input("x", ValueType(.f32, [b, s, 32]))
    let shape = try builder.add("Shape", [x])
    let first = try builder.add(
      "Unsqueeze", [try builder.add("Gather", [shape, builder.integerScalar(0)]), builder.integers([0])])
    let target = try builder.add("Concat", [first, builder.integers([-1, 4, 8])], ["axis": .integer(0)])
    let y = try builder.add("Reshape", [x, target])
    #expect(builder.type(of: y)?.shape == [b, s, 4, 8])
  }
}

@Suite("Zero rules")
struct ZeroRuleTests {
  /// The states of the last axis of a result for one operand of constants.
  private func states(_ op: String, _ numbers: [Float], _ attributes: [String: Attribute] = [:]) throws
    -> [ElementState]
  {
    var builder = GraphBuilder(name: "zeros")
    let x = builder.initializer("x", .floats(numbers, shape: [numbers.count]))
    let y = try builder.add(op, [x], attributes)
    let analysis = try ZeroAnalysis(builder.graph, keeping: [y], pool: ThreadPool(threadCount: 1))
    return try #require(analysis.states[y]).states
  }

  @Test(
    "Zero stays zero exactly where the function of zero is zero",
    arguments: [
      ("Relu", true), ("Gelu", true), ("Swish", true), ("Tanh", true), ("Erf", true), ("Mish", true), ("Neg", true),
      ("Elu", true),
      ("LeakyRelu", true), ("Sqrt", true), ("Sigmoid", false), ("Softplus", false), ("Exp", false), ("Cos", false),
    ])
  func atZero(_ op: String, _ isZero: Bool) throws {
    #expect(
      try states(op, [0, -0.0, 1, .leastNonzeroMagnitude]).prefix(2).allSatisfy { $0 == (isZero ? .zero : .constant) })
  }

  @Test("Infinite and undefined results are poisoned")
  func poisoned() throws {
    #expect(try states("Log", [0, -1, 1]) == [.poisoned, .poisoned, .constant])
    #expect(try states("Reciprocal", [0, 2, .nan]) == [.poisoned, .constant, .poisoned])
  }

  @Test("A product is zero where a factor is, unless the other may not be finite")
  func product() throws {
    var builder = GraphBuilder(name: "product")
    let x = builder.input("x", ValueType(.f32, [b, 4]))
    let weights = builder.initializer("w", .floats([0, 1, -0.0, .nan], shape: [4]))
    let y = try builder.add("Mul", [x, weights])
    let z = try builder.add("Mul", [y, builder.initializer("zeros", .floats([0, 0, 0, 0], shape: [4]))])
    let analysis = try ZeroAnalysis(builder.graph, keeping: [y, z], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[y]?.states == [.zero, .unknown, .zero, .poisoned])
    #expect(analysis.states[z]?.states == [.zero, .zero, .zero, .poisoned])
  }

  @Test("A double that rounds to zero in single precision is not zero")
  func doubles() throws {
    var builder = GraphBuilder(name: "doubles")
    let tiny = [1e-300, 0, -0.0, 1e300].flatMap { value in
      (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) }
    }
    let x = builder.initializer("x", .literal(bytes: tiny, type: .f64, shape: [4]))
    let y = try builder.add("Identity", [x])
    let analysis = try ZeroAnalysis(builder.graph, keeping: [y], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[y]?.states == [.unknown, .zero, .zero, .unknown])
  }

  @Test("Nothing is read for nodes that are not asked about")
  func restricted() throws {
    var builder = GraphBuilder(name: "restricted")
    let x = builder.initializer("x", .floats([0, 0], shape: [2]))
    let y = try builder.add("Relu", [x])
    let analysis = try ZeroAnalysis(builder.graph, nodes: [], keeping: [y], pool: ThreadPool(threadCount: 1))
    #expect(analysis.states[y]?.worst == .unknown)
  }
}

@Suite("Well-formed graphs")
struct GraphRuleTests {
  private func violation(_ change: (inout Graph) -> Void) throws -> GraphError? {
    var builder = GraphBuilder(name: "graph")
    let x = builder.input("x", ValueType(.f32, [b, 4]))
    let y = try builder.add("Relu", [x])
    builder.output("y", try builder.add("Add", [y, builder.initializer("bias", .zeros(type: .f32, shape: [4]))]))
    var graph = builder.graph
    try graph.validate()
    change(&graph)
    do throws(GraphError) {
      try graph.validate()
      return nil
    } catch { return error }
  }

  @Test("Names are unique, nodes are in order, operands are there, and declared shapes hold")
  func rules() throws {
    #expect(try violation { $0[$0.inputs[0]].name = "y" }?.code == .illFormed)
    #expect(try violation { $0.replaceNodes($0.nodes.reversed()) }?.code == .illFormed)
    #expect(
      try violation { graph in
        var nodes = graph.nodes
        nodes[1].inputs = [nodes[1].inputs[0]]
        graph.replaceNodes(nodes)
      }?.code == .illFormed)
    #expect(try violation { $0[$0.outputs[0]].type = ValueType(.f32, [b, 5]) }?.code == .shapeMismatch)
    #expect(
      try violation { graph in
        var nodes = graph.nodes
        nodes.append(nodes[0])
        graph.replaceNodes(nodes)
      }?.code == .illFormed)
  }
}
