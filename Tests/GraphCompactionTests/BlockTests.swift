import GraphCompaction
import GraphExecution
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage
import Testing

extension Fixture {
  /// A fixture with packed matrices behind the heads and the neurons.
  static func packed(
    _ base: Fixture, layers: Int = 2, heads: Int = 8, groups: Int = 8, size: Int = 16, neurons: Int = 96,
    _ formats: [String: BlockFormat] = ["o": .q8_0, "down": .q8_0]
  ) -> Fixture {
    var fixture = base
    (fixture.layers, fixture.heads, fixture.groups) = (layers, heads, groups)
    (fixture.size, fixture.neurons) = (size, neurons)
    fixture.tensors.packed = formats
    return fixture.filled()
  }

  /// Every matrix packed; the width fills a block.
  static func wholly(_ base: Fixture, heads: Int = 8, groups: Int = 8, size: Int = 16) -> Fixture {
    var fixture = base
    fixture.width = 32
    let names = ["q", "k", "v", "qkv", "o", "gate", "up", "gateup", "down"]
    return packed(
      fixture, heads: heads, groups: groups, size: size,
      Dictionary(uniqueKeysWithValues: names.map { ($0, .q8_0) }))
  }
}

extension Graph {
  /// The stored bytes of a packed tensor; nil where it would have to be rounded anew.
  func blocks(_ name: String, _ format: BlockFormat = .q8_0) throws -> [UInt8]? {
    guard let weight = value(named: name).flatMap({ self[$0].initializer }), weight.shape.rank == 2 else { return nil }
    let rows = weight.transposed([1, 0])
    guard rows.shape[1] % format.elementsPerBlock == 0 else { return nil }
    let packed = rows.quantized(to: format)
    return packed.requantizes ? nil : try packed.bytes()
  }
}

struct RunCase: Sendable, CustomStringConvertible {
  var heads: Int
  var groups: Int
  var size: Int
  var neurons: Int
  var format: BlockFormat
  /// Worked out by hand: the least common multiple of block and unit, over the unit.
  var headRun: Int?
  var neuronRun: Int?
  var description: String { "\(heads)/\(groups) heads of \(size), \(neurons) neurons, \(format)" }
}

@Suite("Units in packed blocks")
struct BlockTests {
  @Test(
    "Units go together that share a block",
    arguments: [
      RunCase(heads: 8, groups: 8, size: 16, neurons: 96, format: .q8_0, headRun: 2, neuronRun: 32),
      RunCase(heads: 8, groups: 8, size: 8, neurons: 64, format: .q8_0, headRun: 4, neuronRun: 32),
      RunCase(heads: 4, groups: 4, size: 32, neurons: 64, format: .q8_0, headRun: nil, neuronRun: 32),
      RunCase(heads: 4, groups: 4, size: 64, neurons: 32, format: .q8_0, headRun: nil, neuronRun: 32),
      // Blocks of 32 in heads of 20 channels meet again after 160.
      RunCase(heads: 16, groups: 16, size: 20, neurons: 32, format: .q8_0, headRun: 8, neuronRun: 32),
      RunCase(heads: 16, groups: 4, size: 32, neurons: 512, format: .q4_k, headRun: 8, neuronRun: 256),
      RunCase(heads: 16, groups: 8, size: 64, neurons: 256, format: .q4_k, headRun: 4, neuronRun: 256),
    ])
  func runs(_ run: RunCase) throws {
    let fixture = Fixture.packed(
      .llama(), layers: 1, heads: run.heads, groups: run.groups, size: run.size, neurons: run.neurons,
      ["o": run.format, "down": run.format])
    let map = try DimensionMap(try fixture.graph())
    let layer = try #require(map.layers.first)
    #expect(layer.heads?.blocks?.count == run.headRun)
    #expect(layer.neuronBlocks?.count == run.neuronRun)
    #expect(layer.neuronBlocks?.elements == run.format.elementsPerBlock)
    #expect(layer.neuronBlocks?.tensor == "layer.0.down")
    #expect(layer.neuronBlocks?.format == run.format)
  }

  @Test("Nothing goes together where only what makes the units is packed")
  func makers() throws {
    var fixture = Fixture.llama()
    fixture.width = 32
    fixture = Fixture.packed(fixture, ["q": .q8_0, "k": .q8_0, "v": .q8_0, "gate": .q8_0, "up": .q8_0])
    let map = try DimensionMap(try fixture.graph())
    #expect(map.layers.allSatisfy { $0.heads?.blocks == nil && $0.neuronBlocks == nil })
  }

  private func neurons(_ removed: [Int], of count: Int = 96) -> UnitMask {
    UnitMask(ffn: [keeping(count, without: removed), nil])
  }

  @Test("Whole blocks leave like anything else, and every byte that stays is the original's")
  func wholeBlocks() throws {
    let fixture = Fixture.wholly(.llama())
    let map = try DimensionMap(try fixture.graph())
    let mask = UnitMask(
      heads: [keeping(8, without: [2, 3]), nil], ffn: [keeping(96, without: Array(32..<64)), nil])
    let plan = try CompactionPlan.make(map, mask: mask)
    #expect(plan.counts == UnitCounts(requested: 34, removed: 34, declared: 34))
    let small = try plan.apply(to: map)
    #expect(try small.output(fixture.inputs()) == map.maskedGraph(mask).output(fixture.inputs()))
    let before = try #require(try map.graph.blocks("layer.0.down"))
    let after = try #require(try small.blocks("layer.0.down"))
    var expected: [UInt8] = []
    for row in 0..<32 {
      let start = row * 102
      expected += before[start..<start + 34] + before[start + 68..<start + 102]
    }
    #expect(after == expected)
    for name in ["q", "k", "v", "o", "gate", "up", "down"] {
      #expect(try small.blocks("layer.0." + name) != nil, "\(name) is cut without rounding")
    }
  }

  @Test("A cut through blocks is refused, with the counts and the ways out")
  func refused() throws {
    let map = try DimensionMap(try Fixture.packed(.llama(), heads: 8, groups: 4, size: 8).graph())
    do {
      _ = try CompactionPlan.make(map, mask: neurons([0, 1, 40] + Array(64..<96)))
      Issue.record("not refused")
    } catch let error as CompactionError {
      #expect(
        error.description
          == "layer 0: the cut goes through blocks of packed numbers, which cannot be parted without rounding anew: expected neurons to go in whole blocks of 32 numbers, 32 neurons at a time, of layer.0.down (Q8_0), found 3 neurons in blocks with others that stay; --round-to 32 lets them stay as fill until whole blocks go; --requantise rounds the numbers of such tensors anew"
      )
    }
    #expect(code { _ = try CompactionPlan.make(map, mask: neurons([0, 1]), roundTo: 8) } == "cutsThroughBlocks")
    #expect(code { _ = try CompactionPlan.make(map, mask: neurons([0, 1]), roundTo: 64) } == nil)
    #expect(
      code { _ = try CompactionPlan.make(map, mask: neurons([0, 1]), roundTo: 32, allowsPadding: false) }
        == "paddingNeeded")
    // Four heads fill a block, which are two groups of two.
    let group = UnitMask(heads: [keeping(8, without: [2, 3]), nil])
    #expect(code { _ = try CompactionPlan.make(map, mask: group) } == "cutsThroughBlocks")
    #expect(code { _ = try CompactionPlan.make(map, mask: group, roundTo: 32) } == nil)
    let query = UnitMask(heads: [keeping(8, without: [2]), nil])
    #expect(code { _ = try CompactionPlan.make(map, mask: query, roundTo: 32) } == "cutsThroughBlocks")
    #expect(code { _ = try CompactionPlan.make(map, mask: query, requantizes: true) } == nil)
  }

  @Test("With --round-to, units whose block has others stay as fill, and counts are multiples of a block")
  func fill() throws {
    let map = try DimensionMap(try Fixture.packed(.llama()).graph())
    let removed = [0, 5] + Array(32..<64)
    let plan = try CompactionPlan.make(map, mask: neurons(removed), roundTo: 32)
    #expect(plan.layers[0].neurons?.padded == [0, 5])
    #expect(plan.layers[0].neurons?.kept == Array(0..<32) + Array(64..<96))
    #expect(plan.counts == UnitCounts(requested: 34, removed: 32, declared: 32, padded: 2))
    // All of a layer: the first block stays.
    let all = try CompactionPlan.make(map, mask: neurons(Array(0..<96)), insists: true)
    #expect(all.layers[0].neurons?.padded == Array(0..<32))
    #expect(all.layers[0].neurons?.kept == Array(0..<32))
    // The other layer needs two blocks, so the first of those that may go comes back.
    let uniform = try CompactionPlan.make(
      map, mask: UnitMask(ffn: [keeping(96, without: Array(0..<64)), keeping(96, without: Array(64..<96))]),
      shape: .uniform)
    #expect(uniform.layers.map { $0.neurons?.after } == [64, 64])
    #expect(uniform.layers[0].neurons?.padded == Array(0..<32))
    let odd = try CompactionPlan.make(map, mask: neurons(Array(0..<32)), roundTo: 3)
    #expect(odd.layers[0].neurons?.after == 96, "the least multiple of 3 and 32")
  }

  @Test("Whole groups of heads leave or stay where blocks reach over heads")
  func groups() throws {
    let map = try DimensionMap(try Fixture.packed(.llama(), heads: 16, groups: 8, size: 8).graph())
    // A block is four heads, two groups.
    let mask = UnitMask(heads: [keeping(16, without: [0, 1, 4, 5, 6, 7]), nil])
    let plan = try CompactionPlan.make(map, mask: mask, roundTo: 32)
    let heads = try #require(plan.layers[0].heads)
    #expect(heads.keptGroups == [0, 1, 4, 5, 6, 7])
    #expect(heads.units.padded == [0, 1])
    #expect(heads.units.removed.map(\.index) == [4, 5, 6, 7])
    // The second layer keeps all, so that whole runs come back in the first, the lowest one first.
    let uniform = try CompactionPlan.make(
      map,
      mask: UnitMask(heads: [keeping(16, without: Array(0..<12)), keeping(16, without: Array(4..<8))]), shape: .uniform)
    #expect(uniform.layers.map { $0.heads?.units.after } == [12, 12])
    #expect(uniform.layers[0].heads?.units.padded == Array(0..<8))
    // One key/value head: its queries leave in blocks.
    let single = try DimensionMap(try Fixture.packed(.llama(), heads: 8, groups: 1, size: 16).graph())
    let queries = try CompactionPlan.make(single, mask: UnitMask(heads: [keeping(8, without: [2, 3]), nil]))
    #expect(queries.layers[0].heads?.keptQueries == [[0, 1, 4, 5, 6, 7]])
    #expect(
      code { _ = try CompactionPlan.make(single, mask: UnitMask(heads: [keeping(8, without: [2]), nil]), roundTo: 32) }
        == "cutsThroughBlocks", "its values are all heads' values")
  }

  @Test("Fill in packed readers is silenced by what makes it; readers keep their bytes")
  func makersAreZero() throws {
    let fixture = Fixture.wholly(.llama(), heads: 8, groups: 4, size: 8)
    let map = try DimensionMap(try fixture.graph())
    let mask = UnitMask(heads: [keeping(8, without: [2, 3]), nil], ffn: [keeping(96, without: [7]), nil])
    let plan = try CompactionPlan.make(map, mask: mask, roundTo: 32)
    let small = try plan.apply(to: map)
    #expect(try small.output(fixture.inputs()) == map.maskedGraph(mask).output(fixture.inputs()))
    for name in ["down", "o", "q", "k"] {
      #expect(try small.blocks("layer.0." + name) == map.graph.blocks("layer.0." + name), "\(name) is untouched")
    }
    // Rows of 32 inputs are a block of 34 bytes.
    for (name, rows) in [("gate", 7..<8), ("up", 7..<8), ("v", 8..<16)] {
      var bytes = try #require(try map.graph.blocks("layer.0." + name))
      for place in rows.lowerBound * 34..<rows.upperBound * 34 { bytes[place] = 0 }
      #expect(try small.blocks("layer.0." + name) == bytes, "\(name)")
    }
    let again = CompactionPlan(
      layers: plan.layers.map { layer in
        LayerPlan(
          index: layer.index,
          heads: layer.heads.map {
            HeadPlan(
              units: UnitPlan(before: $0.units.before, kept: $0.units.kept, padded: $0.units.padded), groupsBefore: 4)
          }, neurons: layer.neurons.map { UnitPlan(before: $0.before, kept: $0.kept, padded: $0.padded) })
      })
    let same = try again.apply(to: map)
    #expect(same.values.map(\.initializer) == small.values.map(\.initializer), "kept and padded units say it all")
  }

  @Test("Fill whose activation is not zero at zero is refused")
  func notZeroAtZero() throws {
    var fixture = Fixture.bert().with(.sigmoid)
    fixture = Fixture.packed(fixture)
    let map = try DimensionMap(try fixture.graph())
    let plan = try CompactionPlan.make(map, mask: neurons([3]), roundTo: 32)
    #expect(code { _ = try plan.apply(to: map) } == "notSilenced")
    #expect(code { _ = try plan.apply(to: map, fill: .readers) } == nil)
    let whole = try CompactionPlan.make(map, mask: neurons(Array(0..<96)), insists: true)
    let small = try whole.apply(to: map)
    #expect(try small.blocks("layer.0.down") == Array(repeating: 0, count: 16 * 34), "a whole block is zero itself")
  }

  @Test("Rounding anew takes single units, and fills rows to whole blocks")
  func requantizing() throws {
    let map = try DimensionMap(try Fixture.packed(.llama(), heads: 8, groups: 4, size: 8).graph())
    let mask = UnitMask(
      heads: [keeping(8, without: [0, 1, 4, 5]), nil], ffn: [keeping(96, without: Array(0..<40)), nil])
    let plan = try CompactionPlan.make(map, mask: mask, requantizes: true)
    #expect(plan.layers[0].heads?.units.kept == [2, 3, 6, 7])
    #expect(plan.layers[0].neurons?.kept == Array(0..<8) + Array(40..<96))
    #expect(plan.layers[0].neurons?.padded == Array(0..<8))
    let fixture = Fixture.packed(.llama(), heads: 8, groups: 4, size: 8)
    let small = try plan.apply(to: map)
    #expect(try small.output(fixture.inputs()) == map.maskedGraph(mask).output(fixture.inputs()))
  }

  @Test("Blocks hold nothing together where single numbers are written")
  func writingNumbers() throws {
    let fixture = Fixture.packed(.llama(), heads: 8, groups: 4, size: 8)
    let map = try DimensionMap(try fixture.graph())
    let mask = UnitMask(heads: [keeping(8, without: [2, 3]), nil], ffn: [[0.5] + keeping(95, without: [3]), nil])
    let plan = try CompactionPlan.make(map, mask: mask, writesBlocks: false)
    #expect(plan.counts == UnitCounts(requested: 3, removed: 3, declared: 3, rescaled: 1))
    let small = try plan.apply(to: map)
    #expect(try small.output(fixture.inputs()) == map.maskedGraph(mask).output(fixture.inputs()))
  }

  @Test("Zeros in packed rows and columns are found, also when every block but one is decoded for nothing")
  func foundZeros() throws {
    var fixture = Fixture.wholly(.llama())
    fixture.tensors.set("layer.0.gate", columns: 32..<64)
    fixture.tensors.set("layer.1.up", columns: 7..<8)
    fixture.tensors.set("layer.1.down", rows: 64..<95)
    fixture.tensors.set("layer.0.v", columns: 32..<48)
    fixture.tensors.set("layer.0.o", rows: 48..<64)
    let map = try DimensionMap(try fixture.graph())
    // Neuron 95 of layer 1 holds its block, and nobody asked for the others to go.
    #expect(try CompactionPlan.make(map).layers[1].neurons?.removed.isEmpty ?? false)
    let plan = try CompactionPlan.make(map, roundTo: 32)
    #expect(plan.layers[0].neurons?.removed.map(\.index) == Array(32..<64))
    #expect(plan.layers[0].neurons?.removed.allSatisfy { $0.rule == "G3" } ?? false)
    #expect(plan.layers[0].heads?.units.removed.map(\.index) == [2, 3])
    #expect(plan.layers[0].heads?.units.removed.map(\.rule) == ["H2", "H1"])
    #expect(plan.layers[1].neurons?.padded == [7] + Array(64..<95))
    let small = try plan.apply(to: map)
    #expect(try small.output(fixture.inputs()) == map.graph.output(fixture.inputs()))
    #expect(try small.blocks("layer.1.down") == map.graph.blocks("layer.1.down"))
  }

  @Test("Dead queries inside a group that stays are left as they are")
  func deadQueries() throws {
    var fixture = Fixture.packed(.llama(), heads: 8, groups: 4, size: 8)
    fixture.tensors.set("layer.0.o", rows: 16..<24)
    let map = try DimensionMap(try fixture.graph())
    #expect(try CompactionPlan.make(map).changesNothing)
    fixture.tensors.set("layer.0.o", rows: 0..<32)
    let whole = try DimensionMap(try fixture.graph())
    #expect(try CompactionPlan.make(whole).layers[0].heads?.units.removed.map(\.index) == [0, 1, 2, 3])
  }

  @Test("Other factors than 0 and 1 on packed readers are refused, unless they may be rounded anew")
  func factors() throws {
    let map = try DimensionMap(try Fixture.packed(.llama()).graph())
    let mask = UnitMask(ffn: [[0.5] + keeping(95, without: []), nil])
    #expect(code { _ = try CompactionPlan.make(map, mask: mask) } == "notExpressible")
    #expect(code { _ = try CompactionPlan.make(map, mask: mask, requantizes: true) } == nil)
  }

  static let bases: [Architecture] = [
    Architecture(name: "multi-head with biases") { .wholly(.bert(), heads: 8, groups: 8, size: 8) },
    Architecture(name: "fused queries, keys and values") { .wholly(.gpt2(), heads: 8, groups: 8, size: 8) },
    Architecture(name: "two queries in a group") { .wholly(.llama(), heads: 8, groups: 4, size: 8) },
    Architecture(name: "blocks inside groups") { .wholly(.llama(), heads: 8, groups: 2, size: 16) },
    Architecture(name: "three queries in a group") { .wholly(.llama(), heads: 24, groups: 8, size: 8) },
    Architecture(name: "fused grouped queries") {
      .wholly(Fixture(projection: .fused, feedForward: .swiglu), heads: 8, groups: 4, size: 8)
    },
    Architecture(name: "fused gate") { .wholly(Fixture.llama().with(.fusedSwiglu), heads: 8, groups: 4, size: 8) },
  ]

  @Test("Random masks of groups and neurons, exactly and without rounding", arguments: bases)
  func random(_ architecture: Architecture) throws {
    let fixture = architecture.make()
    let map = try DimensionMap(try fixture.graph())
    let inputs = fixture.inputs()
    var silenced = 0
    for seed in 1...6 as ClosedRange<UInt64> {
      var random = SeededGenerator(state: seed &* 0x9E37_79B9)
      func list(_ count: Int, _ run: Int) -> [Float] {
        let share = Double.random(in: 0.2...0.9, using: &random)
        return (0..<count / run).flatMap { _ in
          Array(repeating: Double.random(in: 0..<1, using: &random) < share ? Float(0) : 1, count: run)
        }
      }
      let ratio = fixture.heads / fixture.groups
      let mask = UnitMask(
        heads: (0..<2).map { _ in list(fixture.heads, ratio) },
        ffn: (0..<2).map { _ in list(fixture.neurons, Bool.random(using: &random) ? 1 : 16) })
      let reference = try ReferenceEvaluator(try map.maskedGraph(mask), inputs: inputs)
      for shape in [CompactionShape.ragged, .uniform] {
        let plan = try CompactionPlan.make(map, mask: mask, shape: shape, roundTo: 32, insists: true)
        let small = try plan.apply(to: map)
        try small.validate()
        let result = try ReferenceEvaluator(small, inputs: inputs)
        #expect(result["y"] == reference["y"], "seed \(seed), \(shape)")
        for point in plan.comparisonPoints(in: map) {
          let before = try #require(reference.values[point.value])
          let after = try #require(result.values[point.value])
          let (wide, narrow) = (try #require(before.shape.last), try #require(after.shape.last))
          let places = point.compactPositions ?? Array(0..<narrow)
          silenced += narrow - places.count
          #expect(places.count == point.positions.count && places.count == point.units.count)
          for row in 0..<before.data.count / wide {
            let kept = point.positions.map { before.data[row * wide + $0] }
            #expect(kept == places.map { after.data[row * narrow + $0] }, "seed \(seed), layer \(point.layer ?? -1)")
          }
        }
        for id in small.initializers where small[id].initializer?.blockFormat != nil {
          #expect(try small.blocks(small[id].name) != nil, "seed \(seed), \(shape): \(small[id].name) is bytes")
        }
      }
    }
    #expect(silenced > 0, "the test is about something")
  }

  @Test("The masked original and the smaller graph give the same bits in single precision", arguments: bases)
  func bits(_ architecture: Architecture) throws {
    let fixture = architecture.make()
    let map = try DimensionMap(try fixture.graph())
    let ratio = fixture.heads / fixture.groups
    // Half of the groups and most neurons go, some of them out of blocks that stay.
    let heads = (0..<fixture.heads).map { Float($0 / ratio % 5 < 2 ? 1 : 0) }
    let mask = UnitMask(heads: [heads, nil], ffn: [(0..<96).map { $0 < 40 || $0 % 3 > 0 && $0 > 80 ? 0 : 1 }, nil])
    let plan = try CompactionPlan.make(map, mask: mask, roundTo: 32)
    let (masked, small) = (try map.maskedGraph(mask), try plan.apply(to: map))
    var values = plan.comparisonPoints(in: map).map {
      ComparedValue(
        name: $0.kind.rawValue, kind: .neurons, layer: $0.layer, reference: $0.value, other: $0.value, axis: $0.axis,
        positions: $0.positions, otherPositions: $0.compactPositions, units: $0.units)
    }
    #expect(values.contains { $0.otherPositions != nil })
    let (y, z) = (try #require(masked.outputs.first), try #require(small.outputs.first))
    values.append(ComparedValue(name: "y", kind: .output, layer: nil, reference: y, other: z))
    let inputs = fixture.inputs().mapValues { Tensor(floats: $0.data.map(Float.init), extents: $0.shape) }
    let comparison = try RunComparison(reference: masked, other: small, values: values, inputs: inputs, pool: pool)
    #expect(comparison.isBitIdentical, "\(comparison.firstDifference ?? "")")
    #expect(comparison.comparesOutputs)
    let plain = try RunComparison(
      reference: map.graph, other: small, values: [values.removeLast()], inputs: inputs, pool: pool)
    #expect(!plain.isBitIdentical, "the mask does something")
  }
}
