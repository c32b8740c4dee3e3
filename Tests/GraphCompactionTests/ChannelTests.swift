import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// An inverted bottleneck as MobileNet has them: widen, filter each channel by itself, narrow; with batch norms and a residual sum.
struct ConvolutionBlock {
  var tensors = Tensors()

  init() {
    tensors.make("widen", [6, 3, 1, 1])
    tensors.make("depthwise", [6, 1, 3, 3])
    tensors.make("narrow", [3, 6, 1, 1])
    for norm in ["norm1", "norm2"] {
      for part in ["scale", "bias", "mean"] { tensors.make("\(norm).\(part)", [6]) }
      tensors.table["\(norm).var"] = ([6], [0.5, 1, 2, 0.25, 4, 1.5])
    }
  }

  /// Zeroes the filters of a channel: the rows of a tensor of four axes.
  mutating func zero(_ name: String, channel: Int) {
    guard let shape = tensors.table[name]?.shape else { return }
    let size = shape.dropFirst().reduce(1, *)
    for index in channel * size..<(channel + 1) * size { tensors.table[name]?.values[index] = 0 }
  }

  func graph() throws -> Graph {
    var b = GraphBuilder(name: "block")
    let x = b.input("x", ValueType(.f32, [.symbol("batch"), 3, 4, 4]))
    func constant(_ name: String) -> ValueID { b.initializer(name, tensors.weight(name)) }
    func normalised(_ y: ValueID, _ norm: String) throws -> ValueID {
      let parts = ["scale", "bias", "mean", "var"].map { constant("\(norm).\($0)") }
      return try b.add("Relu", [try b.add("BatchNormalization", [y] + parts)])
    }
    let wide = try normalised(try b.add("Conv", [x, constant("widen")]), "norm1")
    let filtered = try normalised(
      try b.add(
        "Conv", [wide, constant("depthwise")], ["group": .integer(6), "pads": .integers([1, 1, 1, 1])],
        name: "filters"),
      "norm2")
    b.output("y", try b.add("Add", [x, try b.add("Conv", [filtered, constant("narrow")])]))
    try b.graph.validate()
    return b.graph
  }
}

@Suite("Channels of convolutions")
struct ChannelTests {
  @Test("A widened axis is one dimension through norms and depthwise filters; the residual axis stays")
  func dimensions() throws {
    let map = try DimensionMap(try ConvolutionBlock().graph(), options: .graph)
    #expect(map.layers.isEmpty)
    #expect(map.others.map(\.name) == ["widen[0]"])
    let channels = try #require(map.others.first?.dimension)
    #expect(channels.kind == .channels)
    #expect(channels.size == 6)
    #expect(channels.uses.count == 11, "three filters and two norms of four vectors")
    #expect(map.pinned.map(\.size) == [3])
    #expect(map.pinned.first?.reasons.map(\.text).contains("graph input x") == true)
    #expect(try DimensionMap(try ConvolutionBlock().graph()).others.isEmpty, "checkpoints offer layers only")
  }

  @Test("A channel that nobody reads and one that its norm leaves zero are dead; a norm's bias keeps a channel alive")
  func dead() throws {
    var block = ConvolutionBlock()
    block.zero("depthwise", channel: 1)
    block.tensors.set("norm2.bias", columns: 1..<2)
    block.tensors.set("norm2.mean", columns: 1..<2)
    for row in 0..<3 { block.tensors.table["narrow"]?.values[row * 6 + 4] = 0 }
    // Its filter is zero, what the norm adds is not.
    block.zero("depthwise", channel: 2)
    block.tensors.set("norm2.bias", columns: 2..<3, to: 0.75)
    let graph = try block.graph()
    let map = try DimensionMap(graph, options: .graph)
    let plan = try CompactionPlan.make(map)
    #expect(
      plan.dimensions.first?.units.removed == [
        RemovedUnit(index: 1, reason: .dead, rule: "C2"), RemovedUnit(index: 4, reason: .dead, rule: "C1"),
      ])
    let small = try plan.apply(to: map)
    try small.validate()
    #expect(small.extents("widen") == [4, 3, 1, 1])
    #expect(small.extents("depthwise") == [4, 1, 3, 3])
    #expect(small.extents("narrow") == [3, 4, 1, 1])
    #expect(small.extents("norm1.var") == [4])
    #expect(small.nodes.first { $0.name == "filters" }?.integer("group", default: 1) == 4)
    #expect(try small.numbers("norm1.var") == [0.5, 2, 0.25, 1.5])
    let found = try CompactionPlan.matching(map, small, pool: pool)
    #expect(found.dimensions.map(\.units.kept) == [[0, 2, 3, 5]])
  }

  @Test("Channels are declared by a tensor, an axis and positions, along whichever axis carries them")
  func declared() throws {
    let map = try DimensionMap(try ConvolutionBlock().graph(), options: .graph)
    for (tensor, axis) in [("widen", 0), ("narrow", 1), ("norm2.scale", 0)] {
      let mask = UnitMask(tensors: [TensorAxisMask(tensor: tensor, axis: axis, removed: [0, 5])])
      let plan = try CompactionPlan.make(map, mask: mask)
      #expect(plan.dimensions.first?.units.kept == [1, 2, 3, 4])
      #expect(plan.dimensions.first?.units.removed.map(\.rule) == ["C5", "C5"])
      #expect(try plan.apply(to: map).extents("depthwise") == [4, 1, 3, 3])
      let masked = try map.maskedGraph(mask)
      #expect(
        try masked.numbers("narrow")?.enumerated().allSatisfy { ($0 % 6 == 0 || $0 % 6 == 5) == ($1 == 0) } == true)
    }
  }
}
