import GraphCompaction
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// The code of the error a body throws.
func code(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch let error as CompactionError { return error.code.name } catch { return "\(error)" }
}

@Suite("Plans")
struct PlanTests {
  private let bert: DimensionMap
  private let llama: DimensionMap

  init() throws {
    bert = try DimensionMap(try Fixture.bert(layers: 3).graph())
    llama = try DimensionMap(try Fixture.llama(layers: 2, heads: 8, groups: 4).graph())
  }

  @Test("Masks of another shape are refused with what was expected")
  func maskShape() throws {
    #expect(
      code { _ = try CompactionPlan.make(bert, mask: UnitMask(heads: [keeping(4, without: [1])])) } == "maskShape")
    #expect(
      code {
        _ = try CompactionPlan.make(bert, mask: UnitMask(heads: Array(repeating: keeping(5, without: [1]), count: 3)))
      }
        == "maskShape")
    #expect(
      code { _ = try CompactionPlan.make(bert, mask: UnitMask(ffn: Array(repeating: [1], count: 3))) }
        == "maskShape")
    #expect(
      code { _ = try CompactionPlan.make(bert, mask: UnitMask(heads: [nil, nil, [1, .nan, 1, 1]])) } == "maskValue")
    #expect(
      code { _ = try CompactionPlan.make(bert, mask: UnitMask(heads: [nil, nil, [1, .infinity, 1, 1]])) } == "maskValue"
    )
    do {
      _ = try CompactionPlan.make(bert, mask: UnitMask(heads: [nil, nil, [1, 1]]))
      Issue.record("not refused")
    } catch let error as CompactionError {
      #expect(error.description == "layer 2: the mask does not fit the model: expected 4 numbers in head_mask, found 2")
    }
  }

  @Test(
    "A mask that removes nearly everything, none of it zero, is taken for one turned round, unless it is insisted on")
  func polarity() throws {
    let mask = UnitMask(ffn: Array(repeating: keeping(12, without: Array(1..<12)), count: 3))
    #expect(code { _ = try CompactionPlan.make(bert, mask: mask) } == "implausibleMask")
    let request = CompactionRequest(mask: mask, shape: .ragged, allowsNearlyEverything: true)
    let plan = try CompactionPlan(map: bert, request: request, rules: LoaderRules([]), pool: pool)
    #expect(plan.counts.removed == 33)
  }

  @Test("A mask that keeps everything plans nothing")
  func nothing() throws {
    let plan = try CompactionPlan.make(bert, mask: UnitMask(heads: Array(repeating: [1, 1, 1, 1], count: 3)))
    #expect(plan.changesNothing)
    let same = try plan.apply(to: bert)
    #expect(same.values.map(\.initializer) == bert.graph.values.map(\.initializer))
    #expect(same.description == bert.graph.description)
    #expect(try CompactionPlan.make(bert).changesNothing, "no weight of the fixture is zero")
  }

  @Test("A layer whose heads all go keeps the first as fill, or is refused without padding")
  func allHeads() throws {
    let mask = UnitMask(heads: [nil, [0, 0, 0, 0], nil])
    let plan = try CompactionPlan.make(bert, mask: mask)
    #expect(plan.layers[1].heads?.units.kept == [0])
    #expect(plan.layers[1].heads?.units.padded == [0])
    #expect(plan.counts == UnitCounts(requested: 4, removed: 3, declared: 3, padded: 1))
    #expect(code { _ = try CompactionPlan.make(bert, mask: mask, allowsPadding: false) } == "paddingNeeded")
    let neurons = try CompactionPlan.make(
      bert, mask: UnitMask(ffn: [nil, nil, keeping(12, without: Array(0..<12))]))
    #expect(neurons.layers[2].neurons?.kept == [0])
    #expect(neurons.layers[2].neurons?.padded == [0])
  }

  @Test("Uneven groups are filled with the first heads that asked to go, or refused without padding")
  func unevenGroups() throws {
    let mask = UnitMask(heads: [keeping(8, without: [2, 3, 5]), nil])
    let plan = try CompactionPlan.make(llama, mask: mask)
    let heads = try #require(plan.layers[0].heads)
    #expect(heads.keptGroups == [0, 2, 3])
    #expect(heads.keptQueries == [[0, 1], [0, 1], [0, 1]])
    #expect(heads.units.padded == [5])
    #expect(heads.units.removed.map(\.index) == [2, 3])
    #expect(code { _ = try CompactionPlan.make(llama, mask: mask, allowsPadding: false) } == "unevenGroups")
  }

  @Test(
    "Groups may keep different queries as long as they keep equally many; whole groups go through their own mask too")
  func differentQueries() throws {
    let mask = UnitMask(heads: [keeping(8, without: [0, 3, 4]), nil], groups: [[1, 1, 1, 0], nil])
    let plan = try CompactionPlan.make(llama, mask: mask, allowsPadding: false)
    let heads = try #require(plan.layers[0].heads)
    #expect(heads.keptGroups == [0, 1, 2])
    #expect(heads.keptQueries == [[1], [0], [1]])
    #expect(heads.units.kept == [1, 2, 5])
    #expect(heads.queriesPerGroup == 1)
  }

  @Test("Uniform: every layer keeps as many as the layer that needs most, filled from the lowest index")
  func uniform() throws {
    let mask = UnitMask(
      heads: [keeping(4, without: [0, 1, 2]), keeping(4, without: [3]), nil],
      ffn: [keeping(12, without: [0, 1, 2, 3]), keeping(12, without: [11]), keeping(12, without: [4, 5])])
    let plan = try CompactionPlan.make(bert, mask: mask, shape: .uniform)
    #expect(plan.layers.map { $0.heads?.units.after } == [4, 4, 4])
    #expect(plan.layers.map { $0.heads?.units.padded } == [[0, 1, 2], [3], []])
    #expect(plan.layers.map { $0.neurons?.after } == [11, 11, 11])
    #expect(plan.layers.map { $0.neurons?.padded } == [[0, 1, 2], [], [4]])
    #expect(
      code { _ = try CompactionPlan.make(bert, mask: mask, shape: .uniform, allowsPadding: false) } == "paddingNeeded")
  }

  @Test("Counts are filled up to a multiple, at most to the original")
  func rounding() throws {
    let mask = UnitMask(ffn: [keeping(12, without: [0, 1, 2, 3, 4]), keeping(12, without: [0]), nil])
    let plan = try CompactionPlan.make(bert, mask: mask, roundTo: 5)
    #expect(plan.layers.map { $0.neurons?.after } == [10, 12, 12])
    #expect(plan.layers.map { $0.neurons?.padded } == [[0, 1, 2], [0], []])
  }

  private let transformers4 = LoaderRule(loader: "transformers-4", opens: true, heads: .perLayer, feedForward: .uniform)
  private let transformers5 = LoaderRule(
    loader: "transformers-5", opens: true, heads: .fixed, feedForward: .uniform, remark: "pruned_heads is ignored")
  private let unseen = LoaderRule(loader: "vllm", opens: nil, heads: .fixed, feedForward: .fixed, remark: "not tried")

  @Test("auto takes the loader under which least remains, for each kind of unit what that loader holds")
  func auto() throws {
    let mask = UnitMask(
      heads: [keeping(4, without: [1]), nil, nil],
      ffn: [keeping(12, without: [0, 1]), keeping(12, without: [2]), keeping(12, without: [3])])
    let rules = [transformers5, transformers4, unseen]
    let plan = try CompactionPlan.make(bert, mask: mask, shape: .auto, rules: rules)
    #expect(plan.target == transformers4)
    #expect(plan.layers.map { $0.heads?.units.after } == [3, 4, 4])
    #expect(plan.layers.map { $0.neurons?.after } == [11, 11, 11])
    #expect(plan.loaders.map(\.loads) == [false, true, false])
    #expect(plan.loaders[0].reason.hasSuffix("pruned_heads is ignored"))

    let five = try CompactionPlan.make(bert, mask: mask, shape: .auto, rules: rules, loader: "transformers-5")
    #expect(five.layers.map { $0.heads?.units.after } == [4, 4, 4])
    #expect(five.layers.map { $0.heads?.units.padded } == [[1], [], []])
    #expect(five.loaders.map(\.loads) == [true, true, false])
    #expect(
      code { _ = try CompactionPlan.make(bert, mask: mask, shape: .auto, rules: rules, loader: "nobody") }
        == "unknownLoader")
    #expect(
      code {
        _ = try CompactionPlan.make(
          bert, mask: mask, shape: .auto, rules: rules, loader: "transformers-5", allowsPadding: false)
      } == "paddingNeeded")
  }

  @Test("Counts that must divide a number are filled up to one that does; another class is used only when allowed")
  func dividing() throws {
    let mask = UnitMask(heads: [keeping(8, without: [0, 1]), keeping(8, without: [6, 7])])
    let own = LoaderRule(loader: "transformers-5", opens: true, heads: .uniformDividing(16), feedForward: .uniform)
    let carrier = LoaderRule(
      loader: "transformers-5", carrier: "mistral", opens: true, heads: .uniform, feedForward: .uniform)
    let plan = try CompactionPlan.make(llama, mask: mask, shape: .auto, rules: [own, carrier])
    #expect(plan.layers.map { $0.heads?.units.after } == [8, 8], "6 does not divide 16, 8 does")
    let retargeted = try CompactionPlan.make(
      llama, mask: mask, shape: .auto, rules: [own, carrier], allowsRetarget: true)
    #expect(retargeted.layers.map { $0.heads?.keptGroups } == [[1, 2, 3], [0, 1, 2]])
    #expect(retargeted.target?.carrier == "mistral")
    #expect(retargeted.loaders.map(\.loads) == [true])
  }

  @Test("A layer without removable units must be kept whole by the mask")
  func notRemovable() throws {
    var fixture = Fixture.bert()
    fixture.heads = 1
    fixture.groups = 1
    let map = try DimensionMap(try fixture.filled().graph())
    #expect(map.layers.first?.heads == nil)
    #expect(code { _ = try CompactionPlan.make(map, mask: UnitMask(heads: [[0]])) } == "notRemovable")
    #expect(code { _ = try CompactionPlan.make(map, mask: UnitMask(heads: [[1]])) } == nil)
  }
}
