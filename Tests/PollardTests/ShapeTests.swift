import Pollard
import PollardBase
import Testing

@Suite("The shape of the result follows the request and the loaders")
struct ShapeTests {
  private func plan(
    _ name: String, _ origin: Scenario.Origin = .masks, _ options: PlanOptions
  ) throws -> CompactionReport {
    let scenario = Scenario(golden: try GoldenCase.named(name), origin: origin)
    let model = try Model(at: scenario.original)
    return try model.preview(try model.plan(masks: scenario.maskSource, options: options, pool: pool))
  }

  private func loads(_ report: CompactionReport, _ loader: String) -> Bool? {
    report.plan.loaders.first { $0.name == loader }?.loads
  }

  @Test("uniform gives every layer the largest layer's counts, filled up with units that asked to go")
  func uniform() throws {
    let report = try plan("llama-tied", .masks, PlanOptions(shape: .uniform))
    #expect(report.layers.map(\.heads) == [2, 2])
    #expect(report.layers.map(\.keyValueHeads) == [2, 2])
    #expect(report.layers.map(\.feedForward) == [30, 30])
    #expect(report.plan.counts.requested == 31)
    #expect(report.plan.counts.padded == 13)
    #expect(report.plan.layers[1].neurons?.padded.count == 13)
    #expect(loads(report, "transformers-4") == true)
  }

  @Test("auto gives BERT uneven heads and one feed-forward width, which transformers 4 takes")
  func auto() throws {
    let report = try plan("bert-plain", .masks, PlanOptions())
    #expect(report.layers.map(\.heads) == [2, 3, 1])
    #expect(report.layers.map(\.feedForward) == [37, 37, 37])
    #expect(loads(report, "transformers-4") == true)
    #expect(loads(report, "transformers-5") == false)
    #expect(report.plan.loaders.allSatisfy { $0.loads == true || !$0.reason.isEmpty })
  }

  @Test("ragged is what no stock loader takes, and the table says why")
  func ragged() throws {
    let report = try plan("llama-grouped", .masks, PlanOptions(shape: .ragged))
    #expect(report.layers.map(\.heads) == [6, 4])
    #expect(loads(report, "transformers-4") == false)
    let reason = try #require(report.plan.loaders.first { $0.name == "transformers-4" }?.reason)
    #expect(reason.contains("one head count in all layers"))
  }

  @Test("--for transformers-5 keeps BERT's heads as fill")
  func forNewest() throws {
    let report = try plan("bert-plain", .masks, PlanOptions(loader: "transformers-5"))
    #expect(report.layers.map(\.heads) == [3, 3, 3])
    #expect(report.plan.counts.removed == 0)
    #expect(report.plan.counts.padded == 33)
    #expect(loads(report, "transformers-5") == true)
  }

  @Test("layers that read one table of positions keep the same heads, those that cannot go stay as fill")
  func alike() throws {
    let folder = try TemporaryFolder()
    try folder.write("mask.json", #"{"remove": {"heads": {"0": [0, 1], "1": [1, 2]}}}"#)
    let original = Paths.join(golden, "t5-encoder/dense")
    let model = try Model(at: original)
    let plan = try model.plan(masks: .file(folder("mask.json")), pool: pool)
    #expect(plan.layers.map { $0.heads?.units.kept } == [[0, 2], [0, 2]])
    #expect(plan.layers.map { $0.heads?.units.padded } == [[0], [2]])
    #expect(plan.loaders.first { $0.name == "transformers-5" }?.loads == true)
    try model.compact(plan, to: folder("small"), pool: pool)
    let verification = try Pollard.verify(
      original: original, compacted: folder("small"), masks: .file(folder("mask.json")), pool: pool)
    #expect(verification.equal && verification.bitIdentical == true)

    let ragged = try model.plan(
      masks: .file(folder("mask.json")), options: PlanOptions(shape: .ragged), pool: pool)
    #expect(ragged.loaders.first { $0.name == "transformers-5" }?.loads == false)
    #expect(codeThrown { try model.compact(ragged, to: folder("ragged"), pool: pool) } == "cannotExpress")
  }

  @Test("a loader that nothing is known about is refused by name")
  func unknownLoader() throws {
    #expect(codeThrown { _ = try plan("bert-plain", .masks, PlanOptions(loader: "elsewhere")) } == "unknownLoader")
  }

  @Test(
    "--round-to fills feed-forward widths up, never beyond the original's",
    arguments: [
      (1, [28, 37, 16]), (8, [32, 37, 16]), (10, [30, 37, 20]), (64, [37, 37, 37]),
    ])
  func rounding(_ step: Int, _ widths: [Int]) throws {
    let report = try plan("bert-plain", .masks, PlanOptions(shape: .ragged, roundTo: step))
    #expect(report.layers.map(\.feedForward) == widths)
    #expect(report.plan.counts.padded == zip(widths, [28, 37, 16]).reduce(0) { $0 + $1.0 - $1.1 })
  }

  @Test(
    "--no-padding refuses what only fill could reach",
    arguments: [
      ("bert-plain", ShapePolicy.uniform, "paddingNeeded"), ("llama-uneven-groups", .ragged, "unevenGroups"),
      ("bert-all-heads", .ragged, "paddingNeeded"), ("bert-all-neurons", .ragged, "paddingNeeded"),
    ])
  func noPadding(_ name: String, _ shape: ShapePolicy, _ code: String) throws {
    #expect(codeThrown { _ = try plan(name, .masks, PlanOptions(shape: shape, allowsPadding: false)) } == code)
  }

  @Test("--no-padding goes through where no fill is needed")
  func noPaddingNeeded() throws {
    let report = try plan("bert-plain", .masks, PlanOptions(shape: .ragged, allowsPadding: false))
    #expect(report.plan.counts.padded == 0)
  }

  @Test("a mask turned round is refused")
  func polarity() throws {
    let folder = try TemporaryFolder()
    try folder.write(
      "m.json", #"{"keep": {"heads": {"0": [1], "1": [], "2": [0, 2]}, "ffn": {"0": [5], "1": [], "2": [1, 2]}}}"#)
    let model = try Model(at: golden + "/bert-plain/dense")
    #expect(codeThrown { _ = try model.plan(masks: .file(folder("m.json")), pool: pool) } == "implausibleMask")
  }
}

@Suite("The same function under a more permissive class")
struct RetargetTests {
  /// One of 4 heads goes in both layers: 3 heads do not divide a hidden size of 32.
  private let mask = #"{"remove": {"heads": {"0": [2], "1": [0]}, "ffn": {"0": [1, 2], "1": [30, 36]}}}"#

  private func plan(_ folder: TemporaryFolder, retarget: Bool) throws -> (Model, CompactionPlan) {
    try folder.write("m.json", mask)
    let model = try Model(at: golden + "/llama-tied/dense")
    let options = PlanOptions(loader: "transformers-5", allowsRetarget: retarget)
    return (model, try model.plan(masks: .file(folder("m.json")), options: options, pool: pool))
  }

  @Test("without it heads stay as fill, and the report offers it")
  func offered() throws {
    let folder = try TemporaryFolder()
    let (model, plan) = try plan(folder, retarget: false)
    let report = try model.preview(plan)
    #expect(report.carrier == nil)
    #expect(report.layers.map(\.heads) == [4, 4])
    #expect(report.plan.counts.padded == 2)
    try folder.write("m.json", mask)
    let uniform = try model.plan(masks: .file(folder("m.json")), options: PlanOptions(shape: .uniform), pool: pool)
    let verdict = try #require(uniform.loaders.first { $0.name == "transformers-5" })
    #expect(verdict.loads == false)
    #expect(verdict.reason.contains("--retarget"))
  }

  @Test("with it Llama is written as Mistral and stays the same function")
  func mistral() throws {
    let folder = try TemporaryFolder()
    let (model, plan) = try plan(folder, retarget: true)
    let report = try model.compact(plan, to: folder("out"), pool: pool)
    #expect(report.carrier == "mistral")
    #expect(report.text.contains("mistral"))
    let config = try Files.json(folder("out/config.json"))
    #expect(config["model_type"]?.stringValue == "mistral")
    #expect(config["architectures"]?[0]?.stringValue == "MistralForCausalLM")
    #expect(config["num_attention_heads"]?.intValue == 3)
    #expect(config["head_dim"]?.intValue == 8)
    #expect(config["sliding_window"]?.isNull == true)
    let verification = try verify(
      original: golden + "/llama-tied/dense", compacted: folder("out"), masks: .file(folder("m.json")), pool: pool)
    #expect(verification.equal, "\(verification.text)")
    #expect(verification.bitIdentical == true)
  }
}
