import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Dimensions of every kind of block")
struct DimensionMapTests {
  private func map(_ fixture: Fixture) throws -> DimensionMap { try DimensionMap(try fixture.graph()) }

  @Test("Multi-head attention has heads that own three matrices, their biases and the rows of the output projection")
  func multiHead() throws {
    let map = try map(.bert(layers: 3))
    #expect(map.layers.map(\.index) == [0, 1, 2])
    for layer in map.layers {
      #expect(layer.heads?.groups?.kind == .heads)
      #expect(layer.heads?.groups?.uses.count == 7)
      #expect(layer.heads?.count == 4)
      #expect(layer.heads?.queriesPerGroup == 1)
      #expect(layer.neurons?.size == 12)
      #expect(layer.neurons?.uses.count == 3)
    }
    #expect(map.dimensions.count { $0.kind == .valueSize } == 3)
    #expect(map.dimensions.count { $0.kind == .scoreSize } == 3)
    #expect(map.unassigned.isEmpty)
    #expect(map.pinned.map(\.size) == [16], "the hidden width")
  }

  @Test(
    "Grouped queries are a pair: groups own Q, K, V and O, queries Q and O only; rotation and q/k norms pin the head size"
  )
  func grouped() throws {
    let map = try map(.llama(layers: 2))
    for layer in map.layers {
      #expect(layer.heads?.groups?.kind == .groups)
      #expect(layer.heads?.groups?.size == 3)
      #expect(layer.heads?.groups?.uses.count == 4)
      #expect(layer.heads?.queries?.kind == .queries)
      #expect(layer.heads?.queries?.size == 2)
      #expect(layer.heads?.queries?.uses.count == 2)
      #expect(layer.heads?.allowsDifferentQueries == true)
      #expect(layer.neurons?.uses.count == 3)
    }
    let reasons = Set(map.pinned.flatMap { $0.reasons.map(\.reason) })
    #expect(reasons.isSuperset(of: [.rotary, .norm]))
    #expect(!map.dimensions.contains { $0.kind == .scoreSize })
  }

  @Test("A fused query-key-value matrix carries the heads three times along one axis")
  func fused() throws {
    let map = try map(.gpt2())
    let heads = try #require(map.layers.first?.heads?.groups)
    #expect(heads.size == 4)
    #expect(heads.uses.count == 3, "the fused matrix, its bias, the rows of the output projection")
  }

  @Test("With a single key/value head any number of queries can go")
  func multiQuery() throws {
    let map = try map(.llama(heads: 4, groups: 1))
    #expect(map.layers.first?.heads?.groups == nil)
    #expect(map.layers.first?.heads?.queries?.size == 4)
    #expect(map.layers.first?.heads?.count == 4)
  }

  @Test("A fused gate and up matrix carries the neurons twice")
  func fusedGate() throws {
    let map = try map(Fixture.llama().with(.fusedSwiglu))
    #expect(map.layers.first?.neurons?.size == 12)
    #expect(map.layers.first?.neurons?.uses.count == 2)
  }

  /// A feed-forward block without layer number; `middle` is put between the two matrices.
  private func feedForward(
    output: Bool = false, _ middle: (inout GraphBuilder, ValueID) throws -> ValueID
  ) throws -> DimensionMap {
    var tensors = Tensors()
    tensors.make("up", [8, 12])
    tensors.make("down", [12, 8])
    tensors.make("norm", [8])
    var b = GraphBuilder(name: "feed-forward")
    let x = b.input("x", ValueType(.f32, [.symbol("n"), 8]))
    let inner = try middle(&b, try b.add("MatMul", [x, b.initializer("up", tensors.weight("up"))]))
    let y = try b.add("MatMul", [inner, b.initializer("down", tensors.weight("down"))])
    b.output("y", try b.add("RMSNormalization", [y, b.initializer("norm", tensors.weight("norm"))]))
    if output { b.output("inner", inner) }
    return try DimensionMap(b.graph)
  }

  @Test("Without layer numbers in names, blocks are numbered in order")
  func unnamed() throws {
    let map = try feedForward { try $0.add("Relu", [$1]) }
    #expect(map.layers.count == 1)
    #expect(map.layers.first?.neurons?.size == 12)
  }

  @Test(
    "must not fire: neurons under a norm, an operator nobody described, a running sum, a softmax, or seen by the caller are pinned"
  )
  func pinned() throws {
    var tensors = Tensors()
    tensors.make("inner", [12])
    let cases: [(PinReason, DimensionMap)] = [
      (
        .norm,
        try feedForward { try $0.add("RMSNormalization", [$1, $0.initializer("inner", tensors.weight("inner"))]) }
      ),
      (.softmax, try feedForward { try $0.add("Softmax", [$1]) }),
      (.reduced, try feedForward { try $0.add("CumSum", [$1, $0.integerScalar(1)]) }),
      (.graphOutput, try feedForward(output: true) { try $0.add("Relu", [$1]) }),
    ]
    for (reason, map) in cases {
      #expect(map.layers.allSatisfy { $0.neurons == nil }, "\(reason)")
      #expect(map.pinned.contains { $0.size == 12 && $0.reasons.map(\.reason).contains(reason) }, "\(reason)")
    }
    let opaque = try feedForward { b, x in
      let unknown = try b.add("NobodyKnowsThis", [x])
      return try b.add("Reshape", [unknown, b.integers([-1, 12])])
    }
    #expect(opaque.layers.allSatisfy { $0.neurons == nil })
    #expect(opaque.dimensions.isEmpty)
  }

  @Test("Behind a gather by a constant list, it is the list that is cut, and never the gathered weights")
  func gathered() throws {
    let map = try feedForward { try $0.add("Gather", [$1, $0.integers(Array(0..<12))], ["axis": .integer(1)]) }
    let uses = try #require(map.layers.first?.neurons?.uses)
    #expect(uses.map { map.graph.nodes[$0.slot.node].op.name } == ["Gather", "MatMul"])
    let plan = try CompactionPlan.make(map, mask: UnitMask(ffn: [keeping(12, without: [3])]))
    let small = try plan.apply(to: map)
    #expect(small.extents("up") == [8, 12])
    #expect(small.extents("down") == [11, 8])
  }

  @Test("must not fire: the value channels of a single head are no neurons")
  func singleHead() throws {
    var fixture = Fixture.bert()
    fixture.heads = 1
    fixture.groups = 1
    let map = try map(fixture.filled())
    #expect(map.layers.first?.neurons?.size == 12)
    #expect(map.dimensions.map(\.kind).sorted { $0.rawValue < $1.rawValue } == [.neurons, .scoreSize, .valueSize])
  }

  @Test("must not fire: a head size that becomes a number is pinned, a literal scale leaves it free")
  func sizeAsValue() throws {
    func map(_ computed: Bool) throws -> DimensionMap {
      var tensors = Tensors()
      for name in ["q", "k", "v", "o"] { tensors.make(name, [8, 8]) }
      tensors.make("norm", [8])
      var b = GraphBuilder(name: "attention")
      let x = b.input("x", ValueType(.f32, [.symbol("b"), .symbol("s"), 8]))
      var parts: [ValueID] = []
      for name in ["q", "k", "v"] {
        let y = try b.add("MatMul", [x, b.initializer(name, tensors.weight(name))])
        let heads = try b.add("Reshape", [y, b.integers([0, 0, 2, 4])])
        parts.append(try b.add("Transpose", [heads], ["perm": .integers(name == "k" ? [0, 2, 3, 1] : [0, 2, 1, 3])]))
      }
      let extent = try b.add("Shape", [parts[0]], ["start": .integer(3)])
      let root = try b.add("Sqrt", [try b.add("Cast", [extent], ["to": .onnxType(.f32)])])
      let scores = try b.add("Div", [try b.add("MatMul", [parts[0], parts[1]]), computed ? root : b.scalar(2)])
      var y = try b.add("MatMul", [try b.add("Softmax", [scores]), parts[2]])
      y = try b.add(
        "Reshape", [try b.add("Transpose", [y], ["perm": .integers([0, 2, 1, 3])]), b.integers([0, 0, 8])])
      y = try b.add("MatMul", [y, b.initializer("o", tensors.weight("o"))])
      b.output("y", try b.add("RMSNormalization", [y, b.initializer("norm", tensors.weight("norm"))]))
      return try DimensionMap(b.graph)
    }
    #expect(try map(false).dimensions.contains { $0.kind == .heads })
    // The number is read in both, so both pin the score size; heads are free all the same.
    let computed = try map(true)
    #expect(!computed.dimensions.contains { $0.kind == .scoreSize })
    #expect(computed.pinned.contains { $0.size == 4 && $0.reasons.map(\.reason).contains(.sizeAsValue) })
    #expect(computed.layers.first?.heads?.count == 2)
  }

  @Test("A classifier's hidden layer belongs to no layer and is left alone")
  func classifier() throws {
    var tensors = Tensors()
    tensors.make("dense", [16, 20])
    tensors.make("out", [20, 2])
    let base = try Fixture.bert().graph()
    var b = GraphBuilder(name: "classifier")
    var ids: [ValueID: ValueID] = [:]
    for id in base.inputs { ids[id] = b.input(base[id].name, base[id].type ?? ValueType(.f32, nil)) }
    for node in base.nodes {
      for case let input? in node.inputs where ids[input] == nil {
        ids[input] = base[input].initializer.map { b.initializer(base[input].name, $0) }
      }
      b.scope = node.scope
      let results = try b.add(
        node.op.name, node.inputs.map { $0.flatMap { ids[$0] } }, node.attributes, outputs: node.outputs.count)
      for (old, new) in zip(node.outputs, results) { if let old { ids[old] = new } }
    }
    b.scope = "classifier"
    let hidden = try #require(base.outputs.first.flatMap { ids[$0] })
    let dense = try b.add("Relu", [try b.add("MatMul", [hidden, b.initializer("dense", tensors.weight("dense"))])])
    b.output("logits", try b.add("MatMul", [dense, b.initializer("out", tensors.weight("out"))]))
    let map = try DimensionMap(b.graph)
    #expect(map.layers.count == 1)
    #expect(map.layers.first?.neurons?.size == 12)
    #expect(map.unassigned.map(\.size) == [20])
  }
}
