import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// What a change of weights should make of one unit.
struct ZeroCase: Sendable, CustomStringConvertible {
  enum Outcome: Sendable, Equatable { case dead(String), constant, void, live }

  let name: String
  let outcome: Outcome
  let fixture: @Sendable () -> Fixture

  var description: String { name }

  init(
    _ name: String, _ outcome: Outcome, _ fixture: Fixture = .bert(),
    _ change: @escaping @Sendable (inout Tensors) -> Void
  ) {
    self.name = name
    self.outcome = outcome
    self.fixture = {
      var copy = fixture
      change(&copy.tensors)
      return copy
    }
  }
}

/// Head 2 of 4 has positions 8 ..< 12.
private let headCases: [ZeroCase] = [
  ZeroCase("output projection zero", .dead("H1")) { $0.set("layer.0.o", rows: 8..<12) },
  ZeroCase("values and their bias zero", .dead("H2")) {
    $0.set("layer.0.v", columns: 8..<12)
    $0.set("layer.0.v.bias", columns: 8..<12)
  },
  ZeroCase("half through the values, half through the output projection", .dead("H1+H2")) {
    $0.set("layer.0.v", columns: 8..<10)
    $0.set("layer.0.v.bias", columns: 8..<10)
    $0.set("layer.0.o", rows: 10..<12)
  },
  ZeroCase("negative zero is zero", .dead("H1")) { $0.set("layer.0.o", rows: 8..<12, to: -0.0) },
  ZeroCase("values zero without their bias are constant", .constant) { $0.set("layer.0.v", columns: 8..<12) },
  ZeroCase("must not fire: queries zero", .live) {
    $0.set("layer.0.q", columns: 8..<12)
    $0.set("layer.0.q.bias", columns: 8..<12)
  },
  ZeroCase("must not fire: keys zero", .live) {
    $0.set("layer.0.k", columns: 8..<12)
    $0.set("layer.0.k.bias", columns: 8..<12)
  },
  ZeroCase("must not fire: queries and keys zero", .live) {
    for name in ["q", "k", "q.bias", "k.bias"] { $0.set("layer.0." + name, columns: 8..<12) }
  },
  ZeroCase("must not fire: one row of the output projection is left", .live) { $0.set("layer.0.o", rows: 8..<11) },
  ZeroCase("must not fire: a subnormal is left", .live) {
    $0.set("layer.0.o", rows: 8..<12)
    $0.table["layer.0.o"]?.values[9 * 16 + 3] = .leastNonzeroMagnitude
  },
  ZeroCase("NaN in the queries voids a zero output projection", .void) {
    $0.set("layer.0.o", rows: 8..<12)
    $0.table["layer.0.q"]?.values[9] = .nan
  },
  ZeroCase("NaN in the keys' bias voids a zero output projection", .void) {
    $0.set("layer.0.o", rows: 8..<12)
    $0.table["layer.0.k.bias"]?.values[9] = .nan
  },
  ZeroCase("NaN in the queries voids zero values", .void) {
    $0.set("layer.0.v", columns: 8..<12)
    $0.set("layer.0.v.bias", columns: 8..<12)
    $0.table["layer.0.q"]?.values[9] = .nan
  },
  ZeroCase("infinity in the values voids a zero output projection", .void) {
    $0.set("layer.0.o", rows: 8..<12)
    $0.table["layer.0.v"]?.values[9] = .infinity
  },
  ZeroCase("NaN in the output projection voids zero values", .void) {
    $0.set("layer.0.v", columns: 8..<12)
    $0.set("layer.0.v.bias", columns: 8..<12)
    $0.table["layer.0.o"]?.values[9 * 16] = .nan
  },
  ZeroCase("NaN in another head changes nothing", .dead("H1")) {
    $0.set("layer.0.o", rows: 8..<12)
    $0.table["layer.0.q"]?.values[0] = .nan
  },
  ZeroCase("a fused matrix: values zero", .dead("H2"), .gpt2()) {
    $0.set("layer.0.qkv", columns: 40..<44)
    $0.set("layer.0.qkv.bias", columns: 40..<44)
  },
  ZeroCase("must not fire: a fused matrix with zero queries", .live, .gpt2()) {
    $0.set("layer.0.qkv", columns: 8..<12)
    $0.set("layer.0.qkv.bias", columns: 8..<12)
  },
  ZeroCase("a group's values zero", .dead("H2"), .llama(heads: 4, groups: 4)) { $0.set("layer.0.v", columns: 8..<12) },
  ZeroCase("NaN in a query norm voids", .void, .llama(heads: 4, groups: 4)) {
    $0.set("layer.0.o", rows: 8..<12)
    $0.table["layer.0.qnorm"]?.values[1] = .nan
  },
]

/// Neuron 5.
private let neuronCases: [ZeroCase] = [
  ZeroCase("down zero", .dead("F1")) { $0.set("layer.0.down", rows: 5..<6) },
  ZeroCase("up and its bias zero", .dead("F2")) {
    $0.set("layer.0.up", columns: 5..<6)
    $0.set("layer.0.up.bias", columns: 5..<6)
  },
  ZeroCase("up zero without its bias is constant", .constant) { $0.set("layer.0.up", columns: 5..<6) },
  ZeroCase("relu: up zero and a negative bias is dead", .dead("F2"), Fixture.bert().with(.relu)) {
    $0.set("layer.0.up", columns: 5..<6)
    $0.set("layer.0.up.bias", columns: 5..<6, to: -1)
  },
  ZeroCase("must not fire as dead: sigmoid of zero is a half", .constant, Fixture.bert().with(.sigmoid)) {
    $0.set("layer.0.up", columns: 5..<6)
    $0.set("layer.0.up.bias", columns: 5..<6)
  },
  ZeroCase("sigmoid: down zero", .dead("F1"), Fixture.bert().with(.sigmoid)) { $0.set("layer.0.down", rows: 5..<6) },
  ZeroCase("must not fire: bias alone zero", .live) { $0.set("layer.0.up.bias", columns: 5..<6) },
  ZeroCase("NaN in up voids", .void) {
    $0.set("layer.0.down", rows: 5..<6)
    $0.table["layer.0.up"]?.values[5] = .nan
  },
  ZeroCase("NaN in a sigmoid's operand voids", .void, Fixture.bert().with(.sigmoid)) {
    $0.set("layer.0.down", rows: 5..<6)
    $0.table["layer.0.up.bias"]?.values[5] = .nan
  },
  ZeroCase("gated: down zero", .dead("G1"), .llama()) { $0.set("layer.0.down", rows: 5..<6) },
  ZeroCase("gated: up zero", .dead("G2"), .llama()) { $0.set("layer.0.up", columns: 5..<6) },
  ZeroCase("gated: gate zero", .dead("G3"), .llama()) { $0.set("layer.0.gate", columns: 5..<6) },
  ZeroCase("fused gate: gate zero", .dead("G3"), Fixture.llama().with(.fusedSwiglu)) {
    $0.set("layer.0.gateup", columns: 5..<6)
  },
  ZeroCase("fused gate: up zero", .dead("G2"), Fixture.llama().with(.fusedSwiglu)) {
    $0.set("layer.0.gateup", columns: 17..<18)
  },
  ZeroCase("must not fire: gate zero with a bias is linear", .live, Fixture.bert().with(.swiglu)) {
    $0.set("layer.0.gate", columns: 5..<6)
  },
  ZeroCase("must not fire: up zero with a bias", .live, Fixture.bert().with(.swiglu)) {
    $0.set("layer.0.up", columns: 5..<6)
  },
  ZeroCase("gated: both zero with biases is constant", .constant, Fixture.bert().with(.swiglu)) {
    $0.set("layer.0.gate", columns: 5..<6)
    $0.set("layer.0.up", columns: 5..<6)
  },
]

@Suite("Which units are dead")
struct ClassificationTests {
  private func check(_ units: UnitPlan, _ unit: Int, _ expected: ZeroCase.Outcome) {
    #expect(
      units.removed
        == {
          if case .dead(let rule) = expected { [RemovedUnit(index: unit, reason: .dead, rule: rule)] } else { [] }
        }())
    #expect(units.constant == (expected == .constant ? [unit] : []))
    if expected == .void { #expect(units.void.contains(unit)) }
  }

  @Test("Head 2", arguments: headCases)
  func heads(_ example: ZeroCase) throws {
    let fixture = example.fixture()
    let map = try DimensionMap(try fixture.graph())
    let plan = try CompactionPlan.make(map)
    check(try #require(plan.layers.first?.heads?.units), 2, example.outcome)
    #expect(plan.layers.first?.neurons?.removed == [])
  }

  @Test("Neuron 5", arguments: neuronCases)
  func neurons(_ example: ZeroCase) throws {
    let fixture = example.fixture()
    let map = try DimensionMap(try fixture.graph())
    let plan = try CompactionPlan.make(map)
    check(try #require(plan.layers.first?.neurons), 5, example.outcome)
    #expect(plan.layers.first?.heads?.units.removed == [])
  }

  @Test("Declared units that the weights prove dead count as dead, with the rule; only they are looked at")
  func declaredAndDead() throws {
    var fixture = Fixture.bert(layers: 2)
    fixture.tensors.set("layer.0.o", rows: 8..<12)
    fixture.tensors.set("layer.1.down", rows: 0..<3)
    let map = try DimensionMap(try fixture.graph())
    let mask = UnitMask(
      heads: [keeping(4, without: [1, 2]), nil], ffn: [nil, keeping(12, without: [2, 3])])
    let plan = try CompactionPlan.make(map, mask: mask)
    #expect(
      plan.layers[0].heads?.units.removed == [
        RemovedUnit(index: 1, reason: .declared, rule: "H5"), RemovedUnit(index: 2, reason: .dead, rule: "H1"),
      ])
    #expect(
      plan.layers[1].neurons?.removed == [
        RemovedUnit(index: 2, reason: .dead, rule: "F1"), RemovedUnit(index: 3, reason: .declared, rule: "F5"),
      ])
    #expect(plan.counts == UnitCounts(requested: 4, removed: 4, dead: 2, declared: 2))
  }

  @Test("A declared unit whose own weights are not finite is refused")
  func declaredNotFinite() throws {
    var fixture = Fixture.bert()
    fixture.tensors.table["layer.0.k"]?.values[9] = .nan
    let map = try DimensionMap(try fixture.graph())
    #expect(throws: CompactionError.self) {
      try CompactionPlan.make(map, mask: UnitMask(heads: [keeping(4, without: [2])]))
    }
    #expect(throws: Never.self) { try CompactionPlan.make(map, mask: UnitMask(heads: [keeping(4, without: [1])])) }
  }

  @Test(
    "A matrix between two dimensions is read whole: no unit of the second is dead because its live rows were not looked at"
  )
  func chained() throws {
    var tensors = Tensors()
    tensors.make("a", [8, 10])
    tensors.make("b", [10, 12])
    tensors.make("c", [12, 8])
    tensors.make("norm", [8])
    tensors.table["b"]?.values[0 * 12 + 3] = 0
    var b = GraphBuilder(name: "chain")
    var x = b.input("x", ValueType(.f32, [.symbol("n"), 8]))
    for (layer, name) in ["a", "b", "c"].enumerated() {
      b.scope = "layer.\(layer)"
      x = try b.add("Relu", [try b.add("MatMul", [x, b.initializer(name, tensors.weight(name))])])
    }
    b.output("y", try b.add("RMSNormalization", [x, b.initializer("norm", tensors.weight("norm"))]))
    let map = try DimensionMap(b.graph)
    #expect(map.dimensions.map(\.size) == [10, 12])
    #expect(map.dimensions.allSatisfy { $0.layers.count == 2 }, "each is written in one layer and read in the next")
  }
}
