import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// A unit that contributes a constant, and what that is by hand.
struct FoldCase: Sendable, CustomStringConvertible {
  let name: String
  let fixture: @Sendable () -> Fixture
  /// The bias that takes the constant, and the matrix that reads the unit.
  let bias: String
  let matrix: String
  /// The unit's activation by row of the matrix.
  let activations: [(row: Int, value: Double)]
  let rule: String

  var description: String { name }

  init(
    _ name: String, _ fixture: Fixture, bias: String, matrix: String, _ activations: [(row: Int, value: Double)],
    rule: String, _ change: @escaping @Sendable (inout Tensors) -> Void
  ) {
    self.name = name
    self.bias = bias
    self.matrix = matrix
    self.activations = activations
    self.rule = rule
    self.fixture = {
      var copy = fixture
      change(&copy.tensors)
      return copy
    }
  }

  static let neuron = FoldCase(
    "relu of a bias of 2", Fixture.bert().with(.relu), bias: "layer.0.down.bias", matrix: "layer.0.down", [(5, 2)],
    rule: "F3"
  ) {
    $0.set("layer.0.up", columns: 5..<6)
    $0.set("layer.0.up.bias", columns: 5..<6, to: 2)
  }

  static let head = FoldCase(
    "a head whose values are their bias", .bert(), bias: "layer.0.o.bias", matrix: "layer.0.o",
    (0..<4).map { (8 + $0, [0.5, -1, 0.25, 3][$0]) }, rule: "H3"
  ) {
    $0.set("layer.0.v", columns: 8..<12)
    for (place, value) in [Float(0.5), -1, 0.25, 3].enumerated() {
      $0.set("layer.0.v.bias", columns: 8 + place..<9 + place, to: value)
    }
  }

  /// The functions' values are those of tables to 16 digits: Φ(1) = 0.8413447460685429, σ(0) = 1/2, 1/(1 + e⁻¹) = 0.7310585786300049.
  static let all = [
    neuron, head,
    FoldCase(
      "gelu of a bias of 1", .bert(), bias: "layer.0.down.bias", matrix: "layer.0.down", [(5, 0.8413447460685429)],
      rule: "F3"
    ) {
      $0.set("layer.0.up", columns: 5..<6)
      $0.set("layer.0.up.bias", columns: 5..<6, to: 1)
    },
    FoldCase(
      "sigmoid of nothing", Fixture.bert().with(.sigmoid), bias: "layer.0.down.bias", matrix: "layer.0.down",
      [(5, 0.5)], rule: "F3"
    ) {
      $0.set("layer.0.up", columns: 5..<6)
      $0.set("layer.0.up.bias", columns: 5..<6)
    },
    FoldCase(
      "both factors of a gate", gated, bias: "layer.0.down.bias", matrix: "layer.0.down",
      [(5, 0.7310585786300049 * 3)], rule: "G6"
    ) {
      for (name, value) in [("gate", Float(1)), ("up", 3)] {
        $0.set("layer.0." + name, columns: 5..<6)
        $0.set("layer.0.\(name).bias", columns: 5..<6, to: value)
      }
    },
    FoldCase(
      "a fused matrix", .gpt2(), bias: "layer.0.o.bias", matrix: "layer.0.o", (0..<4).map { (8 + $0, 0.75) },
      rule: "H3"
    ) {
      $0.set("layer.0.qkv", columns: 40..<44)
      $0.set("layer.0.qkv.bias", columns: 40..<44, to: 0.75)
    },
  ]

  private static var gated: Fixture {
    var fixture = Fixture.llama(heads: 4, groups: 4)
    fixture.biases = true
    return fixture.filled()
  }
}

@Suite("Constants folded into biases")
struct FoldingTests {
  private func distance(_ a: Reference?, _ b: Reference?) -> Double {
    guard let a, let b, a.shape == b.shape else { return .infinity }
    return zip(a.data, b.data).map { abs($0 - $1) }.max() ?? .infinity
  }

  @Test(
    "the bias is what it was and the unit's contribution, in double precision, rounded once", arguments: FoldCase.all)
  func folded(_ entry: FoldCase) throws {
    let fixture = entry.fixture()
    let graph = try fixture.graph()
    let map = try DimensionMap(graph)
    let plan = try CompactionPlan.make(map, folds: true)
    #expect(plan.counts.folded == 1)
    #expect(plan.counts.constant == 1)
    #expect(plan.counts.removed == 1)
    var removed: [RemovedUnit] = []
    for layer in plan.layers { removed += (layer.heads?.units.removed ?? []) + (layer.neurons?.removed ?? []) }
    #expect(removed.map(\.rule) == [entry.rule])
    let small = try plan.apply(to: map)
    try small.validate()
    let before = try #require(fixture.tensors.table[entry.bias]?.values)
    let matrix = try #require(fixture.tensors.table[entry.matrix]?.values)
    let wanted = before.indices.map { column in
      var sum = 0.0
      for (row, value) in entry.activations { sum += Double(matrix[row * before.count + column]) * value }
      return Float(Double(before[column]) + sum)
    }
    #expect(try small.numbers(entry.bias) == wanted)
    let inputs = fixture.inputs()
    let reference = try graph.output(inputs)
    // The reference evaluator has another smooth function in the place of gelu; the golden set compares that one's outputs.
    if !entry.name.hasPrefix("gelu") { #expect(distance(reference, try small.output(inputs)) < 1e-6) }
    // Without the fold the difference is seen.
    var careless = plan
    careless.folds = []
    #expect(distance(reference, try careless.apply(to: map).output(inputs)) > 1e-3)
  }

  @Test("without the request constants stay")
  func unasked() throws {
    let map = try DimensionMap(FoldCase.neuron.fixture().graph())
    let plan = try CompactionPlan.make(map)
    #expect(plan.counts.constant == 1 && plan.counts.folded == 0 && plan.folds.isEmpty && plan.changesNothing)
  }

  @Test("a bias in half precision is rounded once to it", arguments: [ElementType.f16, .bf16])
  func narrow(_ type: ElementType) throws {
    var fixture = FoldCase.neuron.fixture()
    fixture.tensors.stored = type
    let map = try DimensionMap(fixture.graph())
    let small = try CompactionPlan.make(map, folds: true).apply(to: map)
    let before = try #require(try map.graph.numbers("layer.0.down.bias"))
    let row = Array(try #require(try map.graph.numbers("layer.0.down"))[5 * 16..<6 * 16])
    let exact = zip(before, row).map { Double($0) + Double($1) * 2 }
    let found = try #require(try small.numbers("layer.0.down.bias"))
    // Half a unit in the last place of 11 or 8 bits, and a number that the type holds.
    for (number, wanted) in zip(found, exact) {
      let unit = wanted.ulp * (type == .f16 ? 0x1p42 : 0x1p45)
      #expect(abs(Double(number) - wanted) <= unit / 2)
    }
    let weight = try #require(small.value(named: "layer.0.down.bias").flatMap { small[$0].initializer })
    #expect(weight.storedType == type)
  }

  @Test("what a mask declares off is not folded; a constant beside it is")
  func masked() throws {
    var fixture = FoldCase.neuron.fixture()
    fixture.tensors.set("layer.0.up", columns: 7..<8)
    fixture.tensors.set("layer.0.up.bias", columns: 7..<8, to: 4)
    let map = try DimensionMap(fixture.graph())
    let mask = UnitMask(ffn: [keeping(12, without: [5, 1])])
    let plan = try CompactionPlan.make(map, mask: mask, folds: true)
    #expect(plan.counts.declared == 2)
    #expect(plan.counts.folded == 1)
    #expect(plan.layers[0].neurons?.folded == [7])
    let inputs = fixture.inputs()
    let small = try plan.apply(to: map)
    #expect(distance(try map.maskedGraph(mask).output(inputs), try small.output(inputs)) < 1e-6)
  }

  @Test("a unit that is multiplied by a factor stays")
  func scaled() throws {
    let map = try DimensionMap(FoldCase.neuron.fixture().graph())
    var row = keeping(12, without: [1])
    row[5] = 0.5
    let plan = try CompactionPlan.make(map, mask: UnitMask(ffn: [row]), folds: true)
    #expect(plan.counts.folded == 0)
    #expect(plan.layers[0].neurons?.kept.contains(5) == true)
  }

  @Test("a constant unit that counts need stays as it was, and nothing of it is folded")
  func needed() throws {
    var fixture = Fixture.bert(layers: 2).with(.relu)
    fixture.tensors.set("layer.0.up", columns: 5..<6)
    fixture.tensors.set("layer.0.up.bias", columns: 5..<6, to: 2)
    let map = try DimensionMap(fixture.graph())
    let plan = try CompactionPlan.make(map, shape: .uniform, folds: true)
    #expect(plan.counts.constant == 1 && plan.counts.folded == 0 && plan.counts.padded == 0 && plan.folds.isEmpty)
    #expect(plan.layers[0].neurons?.constant == [5])
  }

  @Test("a bias that two layers share is copied in a graph and left alone in a checkpoint")
  func shared() throws {
    var fixture = Fixture.bert(layers: 2).with(.relu)
    fixture.tensors.set("layer.0.up", columns: 5..<6)
    fixture.tensors.set("layer.0.up.bias", columns: 5..<6, to: 2)
    var graph = try fixture.graph()
    let first = try #require(graph.value(named: "layer.0.down.bias"))
    let second = try #require(graph.value(named: "layer.1.down.bias"))
    var nodes = graph.nodes
    for index in nodes.indices { nodes[index].inputs = nodes[index].inputs.map { $0 == second ? first : $0 } }
    graph.replaceNodes(nodes)
    let map = try DimensionMap(graph)
    let refused = try CompactionPlan.make(map, folds: true)
    #expect(refused.counts.folded == 0)
    #expect(refused.remarks.contains { $0.contains("used at another place too") })
    let plan = try CompactionPlan.make(map, folds: true, addsBiases: true)
    #expect(plan.counts.folded == 1)
    let small = try plan.apply(to: map)
    let inputs = fixture.inputs()
    #expect(distance(try graph.output(inputs), try small.output(inputs)) < 1e-6)
  }

  @Test("where there is no bias an addition takes its place in a graph, and in a checkpoint the unit stays")
  func added() throws {
    let fixture = FoldCase.neuron.fixture()
    var graph = try fixture.graph()
    // The stream takes the place of the bias, so that the product is added to it at once.
    let bias = try #require(graph.value(named: "layer.0.down.bias"))
    let uses = graph.uses
    let addition = try #require(uses[bias]?.first)
    let result = try #require(graph.nodes[addition.node].outputs[0])
    let product = try #require(graph.nodes[addition.node].inputs[0])
    var nodes = graph.nodes
    for index in nodes.indices { nodes[index].inputs = nodes[index].inputs.map { $0 == result ? product : $0 } }
    nodes.remove(at: addition.node)
    graph.replaceNodes(nodes)
    let map = try DimensionMap(graph)
    let kept = try CompactionPlan.make(map, folds: true)
    #expect(kept.counts.folded == 0)
    #expect(kept.remarks.contains { $0.contains("nothing adds a bias") })
    let plan = try CompactionPlan.make(map, folds: true, addsBiases: true)
    #expect(plan.counts.folded == 1)
    let small = try plan.apply(to: map)
    try small.validate()
    #expect(small.nodes.count == map.graph.nodes.count + 1)
    let inputs = fixture.inputs()
    #expect(distance(try graph.output(inputs), try small.output(inputs)) < 1e-6)
  }

  @Test("a sum beyond the type of the bias is refused by name")
  func overflow() throws {
    var fixture = FoldCase.neuron.fixture()
    fixture.tensors.stored = .f16
    fixture.tensors.set("layer.0.up.bias", columns: 5..<6, to: 60000)
    fixture.tensors.set("layer.0.down", rows: 5..<6, to: 60000)
    let map = try DimensionMap(fixture.graph())
    do {
      _ = try CompactionPlan.make(map, folds: true)
      Issue.record("not refused")
    } catch let error as CompactionError { #expect(error.code.name == "cannotFold") }
  }
}
