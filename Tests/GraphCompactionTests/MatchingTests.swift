import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Finding the kept units of a smaller model without a receipt")
struct MatchingTests {
  @Test("Kept and filled units are found again from the weights", arguments: architectures)
  func found(_ architecture: Architecture) throws {
    let fixture = architecture.make()
    let map = try DimensionMap(try fixture.graph())
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SeededGenerator(state: seed &* 0x2545_F491)
      func list(_ count: Int) -> [Float] { (0..<count).map { _ in Bool.random(using: &random) ? 0 : 1 } }
      let mask = UnitMask(
        heads: (0..<2).map { _ in list(fixture.heads) }, ffn: (0..<2).map { _ in list(fixture.neurons) })
      for shape in [CompactionShape.ragged, .uniform] {
        let plan = try CompactionPlan.make(map, mask: mask, shape: shape)
        let small = try plan.apply(to: map)
        let found = try CompactionPlan.matching(map, small, pool: pool)
        for (a, b) in zip(plan.layers, found.layers) {
          #expect(a.heads?.units.kept == b.heads?.units.kept, "seed \(seed), layer \(a.index)")
          #expect(a.heads?.units.padded == b.heads?.units.padded, "seed \(seed), layer \(a.index)")
          #expect(a.neurons?.kept == b.neurons?.kept, "seed \(seed), layer \(a.index)")
          #expect(a.neurons?.padded == b.neurons?.padded, "seed \(seed), layer \(a.index)")
        }
      }
    }
  }

  @Test("Fill that is silenced by what makes it is found by what reads it", arguments: BlockTests.bases)
  func silenced(_ architecture: Architecture) throws {
    let fixture = architecture.make()
    let map = try DimensionMap(try fixture.graph())
    let ratio = fixture.heads / fixture.groups
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SeededGenerator(state: seed &* 0x2545_F491)
      func list(_ count: Int, _ run: Int) -> [Float] {
        (0..<count / run).flatMap { _ in Array(repeating: Bool.random(using: &random) ? Float(0) : 1, count: run) }
      }
      let mask = UnitMask(
        heads: (0..<2).map { _ in list(fixture.heads, ratio) },
        ffn: (0..<2).map { _ in list(96, 32).indices.map { Float($0 / 32 == 1 || random.next() % 3 > 0 ? 0 : 1) } })
      let plan = try CompactionPlan.make(map, mask: mask, roundTo: 32, insists: true)
      let found = try CompactionPlan.matching(map, try plan.apply(to: map), pool: pool)
      for (a, b) in zip(plan.layers, found.layers) {
        #expect(a.heads?.units.kept == b.heads?.units.kept, "seed \(seed), layer \(a.index)")
        #expect(a.heads?.units.padded == b.heads?.units.padded, "seed \(seed), layer \(a.index)")
        #expect(a.neurons?.kept == b.neurons?.kept, "seed \(seed), layer \(a.index)")
        #expect(a.neurons?.padded == b.neurons?.padded, "seed \(seed), layer \(a.index)")
      }
    }
  }

  @Test("Equal units are told apart by order")
  func duplicates() throws {
    var fixture = Fixture.bert()
    for name in ["up", "up.bias"] { fixture.tensors.set("layer.0." + name, columns: 2..<6, to: 0.25) }
    let map = try DimensionMap(try fixture.graph())
    let plan = try CompactionPlan.make(map, mask: UnitMask(ffn: [keeping(12, without: [0, 2, 3])]))
    let found = try CompactionPlan.matching(map, try plan.apply(to: map), pool: pool)
    #expect(found.layers[0].neurons?.kept == [1, 2, 3, 6, 7, 8, 9, 10, 11])
  }

  @Test("must not fire: a model whose weights were changed does not match")
  func changed() throws {
    let fixture = Fixture.bert()
    let map = try DimensionMap(try fixture.graph())
    var other = fixture
    other.tensors.table["layer.0.up"]?.values[3] += 1
    #expect(code { _ = try CompactionPlan.matching(map, try other.graph(), pool: pool) } == "noMatch")
    let wider = try Fixture.bert(layers: 2).graph()
    #expect(code { _ = try CompactionPlan.matching(map, wider, pool: pool) } == "noMatch")
  }
}
