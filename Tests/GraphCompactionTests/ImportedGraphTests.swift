import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// Attention blocks in the forms that exporters write them in, with names as they give them.
struct ExportedStack {
  var builder = GraphBuilder(name: "exported")
  var tensors = Tensors()
  let heads = 4
  let size = 2
  let width = 8

  /// Numbers that the tensors start with, so that tests can zero slices before the graph is built.
  var zeroed: [(name: String, rows: Range<Int>?, columns: Range<Int>?)] = []

  private mutating func constant(_ name: String, _ shape: [Int]) -> ValueID {
    tensors.make(name, shape)
    for change in zeroed where change.name == name {
      if let rows = change.rows { tensors.set(name, rows: rows) }
      if let columns = change.columns { tensors.set(name, columns: columns) }
    }
    return builder.initializer(name, tensors.weight(name))
  }

  /// An attention whose nodes are named under a path; keys and values of `memory`; a bias is added to the scores.
  mutating func attention(_ x: ValueID, memory: ValueID? = nil, at path: String, bias: ValueID? = nil) throws -> ValueID
  {
    var parts: [ValueID] = []
    for name in ["q", "k", "v"] {
      let y = try builder.add(
        "MatMul", [name == "q" ? x : memory ?? x, constant("\(path).\(name)", [width, heads * size])],
        name: "\(path)/\(name)/MatMul")
      let shaped = try builder.add(
        "Reshape", [y, builder.integers([0, 0, -1, size])], name: "\(path)/Reshape_\(name)")
      parts.append(
        try builder.add(
          "Transpose", [shaped], ["perm": .integers(name == "k" ? [0, 2, 3, 1] : [0, 2, 1, 3])],
          name: "\(path)/Transpose_\(name)"))
    }
    var scores = try builder.add("MatMul", [parts[0], parts[1]], name: "\(path)/MatMul")
    if let bias { scores = try builder.add("Add", [scores, bias], name: "\(path)/Add") }
    let weights = try builder.add("Softmax", [scores], ["axis": .integer(-1)], name: "\(path)/Softmax")
    let context = try builder.add("MatMul", [weights, parts[2]], name: "\(path)/MatMul_1")
    let back = try builder.add(
      "Transpose", [context], ["perm": .integers([0, 2, 1, 3])], name: "\(path)/Transpose_o")
    let joined = try builder.add("Reshape", [back, builder.integers([0, 0, -1])], name: "\(path)/Reshape_o")
    let y = try builder.add(
      "MatMul", [joined, constant("\(path).o", [heads * size, width])], name: "\(path)/o/MatMul")
    return try normalised(try builder.add("Add", [x, y], name: "\(path)/Add_residual"), "\(path).norm")
  }

  mutating func feedForward(_ x: ValueID, at path: String, neurons: Int = 6) throws -> ValueID {
    let inner = try builder.add(
      "Relu",
      [
        try builder.add("MatMul", [x, constant("\(path).wi", [width, neurons])], name: "\(path)/wi/MatMul")
      ], name: "\(path)/Relu")
    let y = try builder.add("MatMul", [inner, constant("\(path).wo", [neurons, width])], name: "\(path)/wo/MatMul")
    return try normalised(try builder.add("Add", [x, y], name: "\(path)/Add_residual"), "\(path).norm")
  }

  private mutating func normalised(_ x: ValueID, _ name: String) throws -> ValueID {
    try builder.add("RMSNormalization", [x, constant(name, [width])], name: "\(name)/RMSNorm")
  }

  mutating func input(_ name: String, _ length: String) -> ValueID {
    builder.input(name, ValueType(.f32, [.symbol("batch"), .symbol(length), Size(width)]))
  }

  /// T5's relative positions: a table of biases by bucket and head, `[1, heads, queries, keys]` once it is gathered.
  mutating func relativeBias() throws -> ValueID {
    let buckets = builder.input("buckets", ValueType(.i64, [.symbol("sequence"), .symbol("sequence")]))
    let rows = try builder.add(
      "Gather", [constant("table", [5, heads]), buckets], ["axis": .integer(0)], name: "encoder/block.0/layer.0/Gather")
    let turned = try builder.add(
      "Transpose", [rows], ["perm": .integers([2, 0, 1])], name: "encoder/block.0/layer.0/Transpose")
    return try builder.add("Unsqueeze", [turned, builder.integers([0])], name: "encoder/block.0/layer.0/Unsqueeze")
  }

  /// Two encoder blocks that share a table of relative positions.
  mutating func relativeEncoder() throws -> Graph {
    var x = input("x", "sequence")
    let bias = try relativeBias()
    for block in 0..<2 {
      x = try attention(x, at: "encoder/block.\(block)/layer.0/SelfAttention", bias: bias)
      x = try feedForward(x, at: "encoder/block.\(block)/layer.1/DenseReluDense")
    }
    builder.output("y", x)
    try builder.graph.validate()
    return builder.graph
  }

  static let inputs = [
    "x": Reference(
      shape: [2, 3, 8], data: (0..<48).map { (Double($0) * 0.61803).truncatingRemainder(dividingBy: 2) - 1 }),
    "memory": Reference(
      shape: [2, 3, 8], data: (0..<48).map { (Double($0) * 0.417).truncatingRemainder(dividingBy: 2) - 1 }),
    "buckets": Reference(shape: [3, 3], data: [0, 1, 2, 3, 0, 1, 4, 3, 0]),
  ]
}

@Suite("Layers of imported graphs")
struct ImportedLayerTests {
  @Test("Stacks stand one after the other, and cross attention is a stack of its own")
  func encoderDecoder() throws {
    var stack = ExportedStack()
    var memory = stack.input("memory", "source")
    var x = stack.input("x", "sequence")
    for block in 0..<2 {
      memory = try stack.attention(memory, at: "/encoder/block.\(block)/layer.0/SelfAttention")
      memory = try stack.feedForward(memory, at: "/encoder/block.\(block)/layer.1/DenseReluDense")
    }
    for block in 0..<2 {
      x = try stack.attention(x, at: "/decoder/block.\(block)/layer.0/SelfAttention")
      x = try stack.attention(x, memory: memory, at: "/decoder/block.\(block)/layer.1/EncDecAttention")
      x = try stack.feedForward(x, at: "/decoder/block.\(block)/layer.2/DenseReluDense")
    }
    stack.builder.output("y", x)
    let map = try DimensionMap(stack.builder.graph, options: .graph)
    #expect(map.layers.map(\.index) == Array(0..<6))
    #expect(
      map.layers.map(\.stack) == [
        "encoder", "encoder", "decoder", "decoder", "decoder.EncDecAttention", "decoder.EncDecAttention",
      ])
    #expect(map.layers.map(\.number) == [0, 1, 0, 1, 0, 1])
    #expect(map.layers.allSatisfy { $0.heads?.count == 4 && $0.heads?.headSize == 2 })
    #expect(map.layers.map { $0.neurons?.size } == [6, 6, 6, 6, nil, nil])
    #expect(map.others.isEmpty)
    let cross = try #require(map.layers.last?.heads?.groups)
    #expect(
      map.tensors(carrying: cross).map(\.name)
        == ["q", "k", "v", "o"].map { "/decoder/block.1/layer.1/EncDecAttention.\($0)" })
    #expect(map.nodes(summing: cross) == ["/decoder/block.1/layer.1/EncDecAttention/o/MatMul"])
    // Masks count in the list of all layers: index 4 is the first cross attention.
    let plan = try CompactionPlan.make(
      map, mask: UnitMask(heads: [nil, nil, nil, nil, keeping(4, without: [1]), nil]))
    let small = try plan.apply(to: map)
    #expect(small.extents("/decoder/block.0/layer.1/EncDecAttention.q") == [8, 6])
    #expect(small.extents("/decoder/block.0/layer.0/SelfAttention.q") == [8, 8])
  }

  @Test("Where an optimiser leaves attentions without names, they are counted in the order of the graph")
  func fusedNames() throws {
    var stack = ExportedStack()
    var x = stack.input("x", "sequence")
    for layer in 0..<2 {
      x = try stack.attention(x, at: "Attention_\(layer)")
      x = try stack.feedForward(x, at: "/bert/encoder/layer.\(layer)")
    }
    stack.builder.output("y", x)
    let map = try DimensionMap(stack.builder.graph, options: .graph)
    #expect(map.layers.map(\.stack) == ["bert.encoder", "bert.encoder"])
    #expect(map.layers.map { $0.heads?.count } == [4, 4])
    #expect(map.layers.map { $0.neurons?.size } == [6, 6])
  }
}

@Suite("Heads tied through a shared table of relative positions")
struct TiedHeadTests {
  @Test("Each layer has heads of its own, and without any cut the graph is as it was")
  func untied() throws {
    var stack = ExportedStack()
    let graph = try stack.relativeEncoder()
    let tied = try DimensionMap(graph)
    #expect(tied.layers.allSatisfy { $0.heads == nil })
    #expect(tied.unassigned.map(\.size) == [4])
    #expect(tied.unassigned.first?.layers == [0, 1])
    let obstacles = tied.layers.first.map { tied.obstacles(in: $0) } ?? []
    #expect(obstacles.contains { $0.contains("4 heads tied over layers") })
    let map = try DimensionMap(graph, options: .graph)
    #expect(map.layers.map { $0.heads?.count } == [4, 4])
    let plan = try CompactionPlan.make(map, mask: UnitMask(heads: [[1, 1, 1, 1], nil]))
    let same = try plan.apply(to: map)
    #expect(same.nodes.map(\.name) == graph.nodes.map(\.name))
  }

  @Test(
    "Layers that keep other heads read the table through lists; the table keeps what any of them keeps",
    arguments: [([1], [1, 2]), ([0, 3], [1]), ([2], [2]), ([], [3])])
  func cut(_ first: [Int], _ second: [Int]) throws {
    var stack = ExportedStack()
    for (block, removed) in [first, second].enumerated() {
      for head in removed {
        stack.zeroed.append(
          ("encoder/block.\(block)/layer.0/SelfAttention.o", rows: head * 2..<head * 2 + 2, columns: nil))
      }
    }
    let graph = try stack.relativeEncoder()
    let map = try DimensionMap(graph, options: .graph)
    let plan = try CompactionPlan.make(map)
    #expect(plan.layers.map { $0.heads?.units.removed.map(\.index) } == [first, second])
    #expect(plan.layers[1].heads?.units.removed.allSatisfy { $0.rule == "H1" } == true)
    let small = try plan.apply(to: map)
    try small.validate()
    let common = Set(first).intersection(second)
    #expect(small.extents("table") == [5, 4 - common.count])
    #expect(small.extents("encoder/block.0/layer.0/SelfAttention.k") == [8, 8 - 2 * first.count])
    #expect(small.extents("encoder/block.1/layer.0/SelfAttention.o") == [8 - 2 * second.count, 8])
    let lists = small.nodes.filter { $0.op.name == "Gather" }.count - 1
    let needed = [first, second].count { Set($0) != common }
    #expect(lists == needed)
    #expect(try small.output(ExportedStack.inputs) == graph.output(ExportedStack.inputs))
    let found = try CompactionPlan.matching(map, small, pool: pool)
    #expect(found.layers.map { $0.heads?.units.kept } == plan.layers.map { $0.heads?.units.kept })
  }
}

@Suite("Caches, tensor masks and what holds units")
struct ImportedInterfaceTests {
  /// A decoder step: keys and values are joined to those of the past, and given back.
  private func cached(_ past: String = "past_key_values.0.key", _ present: String = "present.0.key") throws -> Graph {
    var tensors = Tensors()
    for name in ["q", "k", "v", "o"] { tensors.make(name, [8, 8]) }
    tensors.make("norm", [8])
    var b = GraphBuilder(name: "step")
    let x = b.input("x", ValueType(.f32, [.symbol("batch"), .symbol("sequence"), 8]))
    let shape: [Size] = [.symbol("batch"), 4, .symbol("past"), 2]
    let cache = [b.input(past, ValueType(.f32, shape)), b.input("past_key_values.0.value", ValueType(.f32, shape))]
    var parts: [ValueID] = []
    for (slot, name) in ["q", "k", "v"].enumerated() {
      let y = try b.add("MatMul", [x, b.initializer(name, tensors.weight(name))])
      var heads = try b.add(
        "Transpose", [try b.add("Reshape", [y, b.integers([0, 0, 4, 2])])], ["perm": .integers([0, 2, 1, 3])])
      if slot > 0 { heads = try b.add("Concat", [cache[slot - 1], heads], ["axis": .integer(-2)]) }
      parts.append(heads)
    }
    b.output(present, parts[1])
    b.output("present.0.value", parts[2])
    let keys = try b.add("Transpose", [parts[1]], ["perm": .integers([0, 1, 3, 2])])
    let weights = try b.add("Softmax", [try b.add("MatMul", [parts[0], keys])])
    let context = try b.add(
      "Transpose", [try b.add("MatMul", [weights, parts[2]])], ["perm": .integers([0, 2, 1, 3])])
    let y = try b.add("Reshape", [context, b.integers([0, 0, 8])])
    let out = try b.add("MatMul", [y, b.initializer("o", tensors.weight("o"))])
    b.output("y", try b.add("RMSNormalization", [out, b.initializer("norm", tensors.weight("norm"))]))
    try b.graph.validate()
    return b.graph
  }

  @Test("Cached heads go with the shapes of the cache, and each changed input and output is named")
  func caches() throws {
    let graph = try cached()
    let map = try DimensionMap(graph, options: .graph)
    #expect(map.layers.first?.heads?.count == 4)
    let plan = try CompactionPlan.make(map, mask: UnitMask(heads: [keeping(4, without: [1, 2])]))
    let small = try plan.apply(to: map)
    try small.validate()
    #expect(
      map.interfaceChanges(to: small).map(\.text) == [
        "input past_key_values.0.key: [batch, 4, past, 2] becomes [batch, 2, past, 2]",
        "input past_key_values.0.value: [batch, 4, past, 2] becomes [batch, 2, past, 2]",
        "output present.0.key: [batch, 4, past+sequence, 2] becomes [batch, 2, past+sequence, 2]",
        "output present.0.value: [batch, 4, past+sequence, 2] becomes [batch, 2, past+sequence, 2]",
      ])
    func numbers(_ shape: [Int], _ step: Double) -> Reference {
      Reference(
        shape: shape,
        data: (0..<shape.reduce(1, *)).map { (Double($0) * step).truncatingRemainder(dividingBy: 2) - 1 })
    }
    func kept(_ cache: Reference) -> Reference {
      Reference(
        shape: [1, 2, 3, 2], data: [0, 3].flatMap { Array(cache.data[$0 * 6..<$0 * 6 + 6]) })
    }
    let x = numbers([1, 2, 8], 0.618)
    let (keys, values) = (numbers([1, 4, 3, 2], 0.37), numbers([1, 4, 3, 2], 0.83))
    let masked = try map.maskedGraph(UnitMask(heads: [keeping(4, without: [1, 2])]))
    #expect(
      try small.output(["x": x, "past_key_values.0.key": kept(keys), "past_key_values.0.value": kept(values)])
        == masked.output(["x": x, "past_key_values.0.key": keys, "past_key_values.0.value": values]))
  }

  @Test("must not fire: inputs and outputs that are no caches stay, unless they are named; the reason names them")
  func held() throws {
    let graph = try cached("keys", "scores")
    let map = try DimensionMap(graph, options: .graph)
    #expect(map.layers.first?.heads == nil)
    let pin = try #require(map.pinned.first { $0.size == 4 })
    #expect(pin.kind == .heads)
    #expect(pin.reasons.map(\.text) == ["graph input keys", "graph output scores"])
    let error = #expect(throws: CompactionError.self) {
      _ = try CompactionPlan.make(
        map, mask: UnitMask(tensors: [TensorAxisMask(tensor: "q", axis: 1, removed: [0, 1])]))
    }
    #expect(error?.code.name == "notRemovable")
    #expect(error?.description.contains("graph input keys") == true)
    var options = DimensionOptions.graph
    options.changedInterface = ["keys", "scores"]
    #expect(try DimensionMap(graph, options: options).layers.first?.heads?.count == 4)
    #expect(try DimensionMap(try cached()).layers.first?.heads == nil, "checkpoints have no interface to change")
  }

  @Test("Positions of a tensor's axis name units: rows of a head, a neuron; a part of a unit is refused")
  func tensorMasks() throws {
    let graph = try Fixture.gpt2().graph()
    let map = try DimensionMap(graph, options: .graph)
    // The fused axis is Q, K, V of 16 each; head 2 is 8 ..< 12 in each.
    let head = (0..<3).flatMap { block in (8..<12).map { block * 16 + $0 } }
    let plan = try CompactionPlan.make(
      map,
      mask: UnitMask(tensors: [
        TensorAxisMask(tensor: "layer.0.qkv", axis: 1, removed: head),
        TensorAxisMask(tensor: "layer.0.down", axis: 0, removed: [3, 5]),
      ]))
    #expect(plan.layers.first?.heads?.units.kept == [0, 1, 3])
    #expect(plan.layers.first?.heads?.units.removed.map(\.rule) == ["H5"])
    #expect(plan.layers.first?.neurons?.removed.map(\.index) == [3, 5])
    #expect(try plan.apply(to: map).extents("layer.0.qkv") == [16, 36])
    func error(_ mask: TensorAxisMask) -> CompactionError? {
      #expect(throws: CompactionError.self) { _ = try CompactionPlan.make(map, mask: UnitMask(tensors: [mask])) }
    }
    let partial = error(TensorAxisMask(tensor: "layer.0.qkv", axis: 1, removed: Array(8..<12)))
    #expect(partial?.code.name == "maskShape")
    #expect(partial?.description.contains("layer 0, head 2") == true)
    #expect(partial?.description.contains("the first is 24") == true)
    #expect(error(TensorAxisMask(tensor: "layer.0.qkv", axis: 1, removed: [48]))?.code.name == "maskShape")
    #expect(error(TensorAxisMask(tensor: "layer.0.qkv", axis: 2, removed: [0]))?.code.name == "maskShape")
    #expect(error(TensorAxisMask(tensor: "nothing", axis: 0, removed: [0]))?.code.name == "maskShape")
    let width = error(TensorAxisMask(tensor: "layer.0.qkv", axis: 0, removed: [0]))
    #expect(width?.code.name == "notRemovable")
    #expect(width?.description.contains("normalised over at") == true)
  }

  @Test("A classifier's hidden layer is a unit of its own where the file holds the graph")
  func classifier() throws {
    var tensors = Tensors()
    tensors.make("up", [8, 12])
    tensors.set("up", columns: 4..<5)
    tensors.make("down", [12, 8])
    tensors.make("dense", [8, 10])
    tensors.make("out", [10, 3])
    tensors.set("out", rows: 7..<9)
    tensors.make("norm", [8])
    var b = GraphBuilder(name: "classifier")
    let x = b.input("x", ValueType(.f32, [.symbol("n"), 8]))
    b.scope = "layer.0"
    var y = try b.add("Relu", [try b.add("MatMul", [x, b.initializer("up", tensors.weight("up"))])])
    y = try b.add("MatMul", [y, b.initializer("down", tensors.weight("down"))])
    y = try b.add("RMSNormalization", [y, b.initializer("norm", tensors.weight("norm"))])
    b.scope = "classifier"
    y = try b.add("Relu", [try b.add("MatMul", [y, b.initializer("dense", tensors.weight("dense"))])])
    b.output("y", try b.add("MatMul", [y, b.initializer("out", tensors.weight("out"))]))
    let map = try DimensionMap(b.graph, options: .graph)
    #expect(map.others.map(\.name) == ["dense[1]"])
    #expect(map.layers.map { $0.neurons?.size } == [12])
    let plan = try CompactionPlan.make(map)
    #expect(plan.dimensions.first?.units.removed == [7, 8].map { RemovedUnit(index: $0, reason: .dead, rule: "F1") })
    #expect(plan.counts.removed == 3)
    let small = try plan.apply(to: map)
    #expect(small.extents("dense") == [8, 8])
    #expect(small.extents("out") == [8, 3])
    #expect(small.extents("up") == [8, 11])
    let points = plan.comparisonPoints(in: map)
    #expect(points.map(\.layer) == [0, nil])
    #expect(points.last?.units == [0, 1, 2, 3, 4, 5, 6, 9])
    let found = try CompactionPlan.matching(map, small, pool: pool)
    #expect(found.dimensions.map(\.units.kept) == plan.dimensions.map(\.units.kept))
    // A mask may take all of it: one unit stays as fill.
    let all = try CompactionPlan.make(
      map, mask: UnitMask(tensors: [TensorAxisMask(tensor: "out", axis: 0, removed: Array(0..<10))]))
    #expect(all.dimensions.first?.units.kept == [0])
    #expect(all.dimensions.first?.units.padded == [0])
    #expect(try all.apply(to: map).numbers("out") == [0, 0, 0])
  }
}
