import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// A small generator, so that a failing case can be run again by its seed.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ (state >> 29)
  }
}

struct Architecture: Sendable, CustomStringConvertible {
  let name: String
  let make: @Sendable () -> Fixture
  var description: String { name }
}

let architectures: [Architecture] = [
  Architecture(name: "post-norm multi-head") { .bert(layers: 2) },
  Architecture(name: "fused queries, keys and values") { .gpt2(layers: 2) },
  Architecture(name: "grouped queries with norms and rotation") { .llama(layers: 2) },
  Architecture(name: "grouped queries, four groups") { .llama(layers: 2, heads: 8, groups: 4, headNorms: false) },
  Architecture(name: "one key/value head") { .llama(layers: 2, heads: 4, groups: 1) },
  Architecture(name: "fused gate") { Fixture.llama(layers: 2).with(.fusedSwiglu) },
  Architecture(name: "fused grouped queries") {
    Fixture(layers: 2, heads: 6, groups: 2, projection: .fused, feedForward: .swiglu).filled()
  },
]

@Suite("The smaller graph computes what the masked one did")
struct RewriteTests {
  private func mask(_ fixture: Fixture, _ random: inout SeededGenerator) -> UnitMask {
    func list(_ count: Int) -> [Float] {
      let share = Double.random(in: 0...0.85, using: &random)
      return (0..<count).map { _ in Double.random(in: 0..<1, using: &random) < share ? 0 : 1 }
    }
    return UnitMask(
      heads: (0..<fixture.layers).map { _ in list(fixture.heads) },
      ffn: (0..<fixture.layers).map { _ in list(fixture.neurons) })
  }

  @Test("Random masks, exactly, in every shape", arguments: architectures)
  func randomMasks(_ architecture: Architecture) throws {
    let fixture = architecture.make()
    let map = try DimensionMap(try fixture.graph())
    let inputs = fixture.inputs()
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SeededGenerator(state: seed &* 0x9E37_79B9)
      let mask = mask(fixture, &random)
      let masked = try map.maskedGraph(mask)
      let reference = try ReferenceEvaluator(masked, inputs: inputs)
      for shape in [CompactionShape.ragged, .uniform] {
        let request = CompactionRequest(mask: mask, shape: shape, allowsNearlyEverything: true)
        let plan = try CompactionPlan(map: map, request: request, rules: LoaderRules([]), pool: pool)
        let small = try plan.apply(to: map)
        try small.validate()
        let result = try ReferenceEvaluator(small, inputs: inputs)
        #expect(result["y"] == reference["y"], "seed \(seed), \(shape)")
        for point in plan.comparisonPoints(in: map) {
          let before = try #require(reference.values[point.value])
          let after = try #require(result.values[point.value])
          let (wide, narrow) = (try #require(before.shape.last), try #require(after.shape.last))
          #expect(narrow == point.positions.count && narrow == point.units.count)
          let kept = (0..<before.data.count / wide).flatMap { row in
            point.positions.map { before.data[row * wide + $0] }
          }
          #expect(kept == after.data, "seed \(seed), layer \(point.layer), \(point.kind)")
        }
        let again = try CompactionPlan.make(try DimensionMap(small), mask: nil)
        for (first, second) in zip(plan.layers, again.layers) {
          // A single unit is no axis any more, so nothing is said about it.
          for (a, b) in [(first.heads?.units, second.heads?.units), (first.neurons, second.neurons)] {
            guard let a, a.after > 1 else { continue }
            let fill = a.padded.compactMap { a.kept.firstIndex(of: $0) }
            let dead = (b?.removed.map(\.index) ?? []) + (b?.padded ?? [])
            #expect(dead.sorted() == fill, "what is dead in the result is the fill; seed \(seed), \(shape)")
          }
        }
      }
    }
  }

  @Test("Zeros in random weights: whatever is called dead changes nothing when it goes", arguments: architectures)
  func randomZeros(_ architecture: Architecture) throws {
    var found = 0
    for seed in 1...12 as ClosedRange<UInt64> {
      var random = SeededGenerator(state: seed &* 0xD134_2543)
      var fixture = architecture.make()
      let size = fixture.size
      for _ in 0..<24 {
        let layer = "layer.\(Int.random(in: 0..<fixture.layers, using: &random))."
        let names = ["q", "k", "v", "qkv", "o", "gate", "up", "gateup", "down"].filter {
          fixture.tensors.table[layer + $0] != nil
        }
        let name = layer + (names.randomElement(using: &random) ?? "o")
        guard let shape = fixture.tensors.table[name]?.shape else { continue }
        if name.hasSuffix(".o") || name.hasSuffix("down") {
          let step = name.hasSuffix(".o") ? size : 1
          let unit = Int.random(in: 0..<shape[0] / step, using: &random)
          fixture.tensors.set(name, rows: unit * step..<(unit + 1) * step)
        } else {
          let step = ["q", "k", "v", "qkv"].contains { name.hasSuffix("." + $0) } ? size : 1
          let unit = Int.random(in: 0..<shape[1] / step, using: &random)
          fixture.tensors.set(name, columns: unit * step..<(unit + 1) * step)
          if Bool.random(using: &random), fixture.tensors.table[name + ".bias"] != nil {
            fixture.tensors.set(name + ".bias", columns: unit * step..<(unit + 1) * step)
          }
        }
      }
      let graph = try fixture.graph()
      let map = try DimensionMap(graph)
      let plan = try CompactionPlan.make(map)
      found += plan.counts.dead
      let inputs = fixture.inputs()
      #expect(try plan.apply(to: map).output(inputs) == graph.output(inputs), "seed \(seed)")
    }
    #expect(found > 20, "the test is about something")
  }

  @Test("Kept rows and columns are the original's, byte for byte, and fill reads zero")
  func keptPositions() throws {
    let fixture = Fixture.llama(heads: 8, groups: 4)
    let map = try DimensionMap(try fixture.graph())
    let mask = UnitMask(heads: [keeping(8, without: [0, 3, 4, 5, 6])])
    let plan = try CompactionPlan.make(map, mask: mask)
    let small = try plan.apply(to: map)
    #expect(plan.layers[0].heads?.units.kept == [1, 2, 7])
    #expect(small.extents("layer.0.q") == [16, 12])
    #expect(small.extents("layer.0.k") == [16, 12])
    #expect(small.extents("layer.0.o") == [12, 16])
    let q = try #require(fixture.tensors.table["layer.0.q"]?.values)
    let columns = Array(4..<12) + Array(28..<32)
    #expect(try small.numbers("layer.0.q") == (0..<16).flatMap { row in columns.map { q[row * 32 + $0] } })
    let k = try #require(fixture.tensors.table["layer.0.k"]?.values)
    let groups = Array(0..<8) + Array(12..<16)
    #expect(try small.numbers("layer.0.k") == (0..<16).flatMap { row in groups.map { k[row * 16 + $0] } })

    let padded = try CompactionPlan.make(map, mask: mask, shape: .uniform, rules: [])
    #expect(padded.layers[0].heads?.units.padded == [])
    let uneven = try CompactionPlan.make(map, mask: UnitMask(heads: [keeping(8, without: [0])]))
    #expect(uneven.layers[0].heads?.units.padded == [0])
    let filled = try #require(try uneven.apply(to: map).numbers("layer.0.o"))
    #expect(filled[..<64].allSatisfy { $0 == 0 && $0.sign == .plus })
    #expect(Array(filled[64...]) == fixture.tensors.table["layer.0.o"].map { Array($0.values[64...]) })
  }

  @Test("Factors are multiplied into the weights that read the unit and rounded to the stored type")
  func fractional() throws {
    for stored in [ElementType.f32, .bf16] {
      var fixture = Fixture.bert()
      fixture.tensors.stored = stored
      let map = try DimensionMap(try fixture.graph())
      let mask = UnitMask(heads: [[1, 0.7, 0, 1]], ffn: [[0.3] + keeping(11, without: [4])])
      let plan = try CompactionPlan.make(map, mask: mask)
      #expect(plan.layers[0].heads?.units.rescaled == [1: 0.7])
      #expect(plan.counts.rescaled == 2)
      let small = try plan.apply(to: map)
      #expect(try small.output(fixture.inputs()) == map.maskedGraph(mask).output(fixture.inputs()))
      let id = try #require(small.value(named: "layer.0.o"))
      let weight = try #require(small[id].initializer)
      let stays = try weight.cast(to: stored).cast(to: .f32).floats()
      #expect(try weight.floats() == stays, "values are representable in \(stored)")
      let old = try map.graph.numbers("layer.0.o")
      #expect(
        try #require(weight.floats()[64...].first)
          == Weight.floats([try #require(old?[64]) * 0.7], shape: [1]).cast(to: stored).cast(to: .f32).floats()[0])
    }
  }

  @Test(
    "A tensor that two layers share is copied where they are cut differently, and stays one where they are cut alike")
  func shared() throws {
    var fixture = Fixture.bert(layers: 2)
    let same = fixture.tensors.table["layer.0.down"]
    fixture.tensors.table["layer.1.down"] = same
    var b = GraphBuilder(name: "shared")
    let base = try fixture.graph()
    var ids: [ValueID: ValueID] = [:]
    for id in base.inputs { ids[id] = b.input(base[id].name, base[id].type ?? ValueType(.f32, nil)) }
    for node in base.nodes {
      for case let input? in node.inputs where ids[input] == nil {
        let name = base[input].name.hasSuffix(".down") ? "down" : base[input].name
        let known = b.graph.value(named: name)
        ids[input] = known ?? base[input].initializer.map { b.initializer(name, $0) }
      }
      b.scope = node.scope
      let results = try b.add(
        node.op.name, node.inputs.map { $0.flatMap { ids[$0] } }, node.attributes, outputs: node.outputs.count)
      for (old, new) in zip(node.outputs, results) { if let old { ids[old] = new } }
    }
    b.output("y", try #require(base.outputs.first.flatMap { ids[$0] }))
    let map = try DimensionMap(b.graph)
    func small(_ first: [Int], _ second: [Int]) throws -> Graph {
      let mask = UnitMask(ffn: [keeping(12, without: first), keeping(12, without: second)])
      let small = try CompactionPlan.make(map, mask: mask).apply(to: map)
      try small.validate()
      #expect(try small.output(fixture.inputs()) == map.maskedGraph(mask).output(fixture.inputs()))
      return small
    }
    let alike = try small([1], [1])
    #expect(alike.extents("down") == [11, 16])
    #expect(alike.extents("down.cut1") == nil)
    let different = try small([1], [2, 3])
    #expect(different.extents("down") == [11, 16])
    #expect(different.extents("down.cut1") == [10, 16])
    let one = try small([1], [])
    #expect(one.extents("down") == [12, 16], "the uncut use keeps the name")
  }
}
