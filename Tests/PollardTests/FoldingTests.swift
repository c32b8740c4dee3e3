import CheckpointFormats
import GraphCompaction
import GraphExecution
import ModelVerification
import Pollard
import PollardBase
import TensorStorage
import Testing

/// The options of `--fold --shape ragged`.
private func folding(_ format: ModelFormat? = nil, retarget: Bool = false) -> PlanOptions {
  var options = PlanOptions(format: format, shape: .ragged, allowsRetarget: retarget)
  options.folds = true
  return options
}

/// Cases with units that contribute a constant and a bias for each of them.
private let cases = ["bert-constant-heads", "bert-prune-pairs-constant", "llama-gated-constants", "bert-subnormal"]

@Suite("Folded checkpoints")
struct FoldedCheckpointTests {
  private func masked(_ name: String) throws -> (test: GoldenCase, model: Model) {
    let test = try GoldenCase.named(name)
    return (test, try Model(at: #require(test.path("masked"))))
  }

  private func folded(_ name: String, in folder: TemporaryFolder, verifying: Bool = false) throws -> CompactionReport {
    let model = try masked(name).model
    return try model.compact(
      model.plan(options: folding(), pool: pool), to: folder("small"),
      options: WriteOptions(verifies: verifying), pool: pool)
  }

  @Test("constants go, and the counts and parameters are the manifest's", arguments: cases)
  func counts(_ name: String) throws {
    let folder = try TemporaryFolder()
    let report = try folded(name, in: folder)
    let expected = try masked(name).test.entry
    let counts = report.plan.counts
    #expect(counts.constant == expected["from_zeros"]?["constant"]?.intValue)
    #expect(counts.folded == counts.constant)
    #expect(counts.dead == expected["from_zeros"]?["dead"]?.intValue)
    #expect(counts.removed == counts.dead + counts.folded)
    #expect(report.parameters.after == expected["parameters"]?["after_ragged_fold"]?.intValue)
    let units = report.json["units"]
    #expect(units?["folded"]?.intValue == counts.folded)
    #expect(units?["constant"]?.intValue == counts.folded)
  }

  @Test("they are verified in double precision and never called bit-identical, at once and later", arguments: cases)
  func verified(_ name: String) throws {
    let folder = try TemporaryFolder()
    let report = try folded(name, in: folder, verifying: true)
    let first = try #require(report.verification)
    let model = try masked(name).model
    let later = try verify(original: model.path, compacted: folder("small"), pool: pool)
    for verdict in [first, later] {
      #expect(verdict.equal, "\(verdict.text)")
      #expect(verdict.bitIdentical == false)
      #expect(!verdict.text.contains("bit-identical"))
      #expect(verdict.text.contains("equal up to rounding"))
      #expect(verdict.json["run"]?["precision"]?.stringValue == "f64")
      #expect(verdict.json["proof"]?["folded"]?.intValue == report.plan.counts.folded)
      #expect(verdict.json["proof"]?["ok"] == true)
      #expect((verdict.report.run?.comparison.maximumAbsolute ?? 1) < 1e-5)
    }
  }

  @Test("without the receipt the folds are found by the weights alone", arguments: ["bert-constant-heads"])
  func withoutReceipt(_ name: String) throws {
    let folder = try TemporaryFolder()
    _ = try folded(name, in: folder)
    try Directories.remove(folder("small/compaction.json"))
    let verdict = try verify(
      original: masked(name).model.path, compacted: folder("small"), pool: pool)
    #expect(verdict.equal, "\(verdict.text)")
    #expect(verdict.bitIdentical == false)
  }

  @Test("the outputs are torch's of the masked model, in double precision", arguments: cases)
  func agreesWithTorch(_ name: String) throws {
    let folder = try TemporaryFolder()
    _ = try folded(name, in: folder)
    let share = FormatTolerance.folded(.f32).share + Tolerances.doubleAgainstTorch.share
    #expect(try distanceFromTorch(masked(name).test, folder("small")) <= share)
  }

  // The constant of bert-subnormal is a subnormal number, which moves nothing.
  @Test("a bias without the constants is seen in the outputs and by the proof", arguments: cases.dropLast())
  func unfolded(_ name: String) throws {
    let folder = try TemporaryFolder()
    let report = try folded(name, in: folder)
    let (test, model) = try masked(name)
    let before = Dictionary(
      try model.stored.storedTensors().map { ($0.name, $0.weight) }, uniquingKeysWith: { first, _ in first })
    let after = try Tensors.stored(folder("small"))
    let changed = try after.keys.sorted().filter { key in
      guard key.hasSuffix(".bias"), let old = before[key], old.shape.extents == after[key]?.shape else { return false }
      return try old.bytes() != after[key]?.bytes
    }
    #expect(changed.count == report.plan.folds.count)
    for key in changed {
      let old = try #require(before[key]).bytes()
      try Tensors.change(key, in: folder("small")) { bytes in bytes = old[...] }
    }
    let verdict = try verify(original: model.path, compacted: folder("small"), pool: pool)
    #expect(!verdict.equal)
    #expect(verdict.report.proof?.ok == false)
    #expect(verdict.report.run?.ok == false)
    #expect(try distanceFromTorch(test, folder("small")) > 1e-3)
  }

  @Test("a bias that is off by its last bit is within every tolerance, and not proved")
  func lastBit() throws {
    let folder = try TemporaryFolder()
    _ = try folded("bert-constant-heads", in: folder)
    try Tensors.flipBit(ofByte: 0, of: "encoder.layer.0.attention.output.dense.bias", in: folder("small"))
    let verdict = try verify(
      original: masked("bert-constant-heads").model.path, compacted: folder("small"), pool: pool)
    #expect(!verdict.equal)
    #expect(verdict.report.run?.ok == true)
    #expect(verdict.report.proof?.problems.first?.contains("attention.output.dense.bias") == true)
  }

  @Test("a receipt that calls a live unit constant proves nothing")
  func forgedReceipt() throws {
    let folder = try TemporaryFolder()
    let model = try masked("bert-constant-heads").model
    try folder.write("masks.json", #"{"remove": {"heads": {"0": [0]}}}"#)
    let plan = try model.plan(masks: .file(folder("masks.json")), options: PlanOptions(shape: .ragged), pool: pool)
    try model.compact(plan, to: folder("small"), pool: pool)
    let text = try Files.text(folder("small/compaction.json"))
    #expect(text.contains(#""class":"declared","rule":"H5""#))
    try Files.write(
      folder("small/compaction.json"),
      Array(
        text.split(separator: #""class":"declared""#, omittingEmptySubsequences: false)
          .joined(separator: #""class":"constant""#).utf8))
    let verdict = try verify(original: model.path, compacted: folder("small"), pool: pool)
    #expect(!verdict.equal)
    #expect(verdict.report.proof?.unproven == 1)
  }

  @Test("what the masks declare off is not folded; the constants beside it are")
  func withMasks() throws {
    let folder = try TemporaryFolder()
    let model = try masked("bert-constant-heads").model
    // Head 1 of layer 0 is a constant; declared off, it contributes nothing.
    try folder.write("masks.json", #"{"remove": {"heads": {"0": [1], "1": [2]}}}"#)
    let source = MaskSource.file(folder("masks.json"))
    let plan = try model.plan(masks: source, options: folding(), pool: pool)
    #expect(plan.counts.declared == 2)
    #expect(plan.counts.folded == 3)
    #expect(plan.layers[0].heads?.units.folded == [])
    #expect(plan.layers[0].neurons?.folded == [3, 17, 30])
    let report = try model.compact(
      plan, to: folder("small"), options: WriteOptions(verifies: true), pool: pool, masks: source)
    #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
    let careless = try verify(original: model.path, compacted: folder("small"), pool: pool)
    #expect(!careless.equal, "without the masks the declared heads are unproven")
  }

  @Test("in half precision each bias is rounded once, and the row of its type holds", arguments: ["F16", "BF16"])
  func narrow(_ type: String) throws {
    let folder = try TemporaryFolder()
    let model = try masked("bert-constant-heads").model
    try model.convert(to: folder("narrow"), type: type == "F16" ? .f16 : .bf16, pool: pool)
    let narrow = try Model(at: folder("narrow"))
    let report = try narrow.compact(
      narrow.plan(options: folding(), pool: pool), to: folder("small"), options: WriteOptions(verifies: true),
      pool: pool)
    #expect(report.plan.counts.folded == 4)
    #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
    #expect(report.verification?.text.contains("rounded to \(type)") == true)
  }

  @Test("a class without an output bias keeps its constants and says what would help")
  func withoutBias() throws {
    let model = try masked("qwen2-constant-group").model
    let (same, plan) = try model.planned(options: folding(), pool: pool)
    #expect(plan.counts.constant == 2 && plan.counts.folded == 0 && plan.counts.dead == 2)
    #expect(same.stored.modelType == "qwen2")
    #expect(plan.remarks.contains { $0.contains("nothing adds a bias") })
    #expect(plan.remarks.contains { $0.contains("--retarget") })
  }

  @Test("a class that computes the same and has the bias takes them")
  func retargeted() throws {
    let folder = try TemporaryFolder()
    let (test, model) = try masked("qwen2-constant-group")
    let (carrier, plan) = try model.planned(options: folding(retarget: true), pool: pool)
    #expect(plan.counts.folded == 2)
    let report = try carrier.compact(
      plan, to: folder("small"), options: WriteOptions(verifies: true), pool: pool)
    #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
    let config = try Files.json(folder("small/config.json"))
    #expect(config["model_type"] == "seed_oss")
    #expect(config["attention_bias"] == true && config["attention_out_bias"] == true)
    // The parameters before are the file's, those after have a bias of 16 in each of 2 layers.
    #expect(report.parameters.before == test.entry["parameters"]?["before"]?.intValue)
    #expect(report.parameters.after == (test.entry["parameters"]?["after_ragged_fold"]?.intValue ?? 0) + 32)
    let later = try verify(original: model.path, compacted: folder("small"), pool: pool)
    #expect(later.equal, "\(later.text)")
    let share = FormatTolerance.folded(.f32).share + Tolerances.doubleAgainstTorch.share
    #expect(try distanceFromTorch(test, folder("small")) <= share)
  }

  @Test("the tolerances of folds grow as types narrow, each with a reason")
  func tolerances() {
    let shares = FormatTolerance.folds.map(\.share)
    #expect(shares == shares.sorted())
    #expect(FormatTolerance.folds.allSatisfy { !$0.reason.isEmpty })
    #expect(FormatTolerance.folded(.f8e4m3).share == shares.last)
  }
}

@Suite("Folded graphs and GGUF files")
struct FoldedGraphTests {
  private func whole(_ name: String, in folder: TemporaryFolder, _ format: ModelFormat, _ file: String) throws -> Model
  {
    let test = try GoldenCase.named(name)
    try Model(at: #require(test.path("masked"))).convert(
      to: folder(file), type: nil, options: WriteOptions(format: format), pool: pool)
    return try Model(at: folder(file))
  }

  @Test(
    "an ONNX file is folded and proved, with a new addition where no bias is",
    arguments: ["bert-constant-heads", "llama-gated-constants", "qwen2-constant-group"])
  func graph(_ name: String) throws {
    let folder = try TemporaryFolder()
    let model = try whole(name, in: folder, .onnx, "whole.onnx")
    let plan = try model.plan(options: folding(), pool: pool)
    let expected = try GoldenCase.named(name).entry["from_zeros"]
    #expect(plan.counts.folded == expected?["constant"]?.intValue)
    #expect(plan.counts.dead == expected?["dead"]?.intValue)
    let report = try model.compact(
      plan, to: folder("small.onnx"), options: WriteOptions(verifies: true), pool: pool)
    #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
    let later = try verify(original: model.path, compacted: folder("small.onnx"), pool: pool)
    #expect(later.equal && later.bitIdentical == false, "\(later.text)")
    let small = try Model(at: folder("small.onnx"))
    #expect(small.graph.nodes.count == model.graph.nodes.count + (name.hasPrefix("qwen2") ? 1 : 0))
  }

  @Test("a checkpoint is folded on the way to ONNX and GGUF", arguments: [ModelFormat.onnx, .gguf])
  func converted(_ format: ModelFormat) throws {
    let folder = try TemporaryFolder()
    let test = try GoldenCase.named("bert-constant-heads")
    let model = try Model(at: #require(test.path("masked")))
    var options = folding(format)
    if format == .gguf { options.shape = .auto }
    let plan = try model.plan(options: options, pool: pool)
    #expect(plan.counts.folded > 0)
    let output = folder("small.\(format.rawValue)")
    let report = try model.compact(
      plan, to: output, options: WriteOptions(format: format, verifies: true), pool: pool)
    let verdict = try #require(report.verification)
    // GGUF has no place for the pooler, which is all that is missed.
    let missed = format == .gguf ? ["output pooler_output is missing, for which GGUF has no place"] : []
    #expect(verdict.report.structure.problems == missed, "\(verdict.text)")
    #expect(verdict.equal == missed.isEmpty && verdict.report.run?.ok == true, "\(verdict.text)")
    #expect(format == .onnx || verdict.report.proof?.ok == true)
    #expect(verdict.bitIdentical == false)
  }

  @Test("a GGUF file is folded where it has biases")
  func packed() throws {
    let folder = try TemporaryFolder()
    let model = try whole("bert-constant-heads", in: folder, .gguf, "whole.gguf")
    var options = folding()
    options.shape = .auto
    let plan = try model.plan(options: options, pool: pool)
    #expect(plan.counts.folded > 0)
    let report = try model.compact(plan, to: folder("small.gguf"), options: WriteOptions(verifies: true), pool: pool)
    #expect(report.verification?.equal == true, "\(report.verification?.text ?? "")")
    #expect(report.verification?.bitIdentical == false)
  }
}

/// How far a model's outputs in double precision are from torch's of the masked original, as a share of the largest.
private func distanceFromTorch(_ test: GoldenCase, _ path: String) throws -> Double {
  let folder = try TemporaryFolder()
  let inputs = try #require(test.path("inputs"))
  try Model(at: path).run(inputs: inputs, outputs: folder("out.safetensors"), precision: .double, pool: pool)
  let results = try Tensors.doubles(folder("out.safetensors"))
  let expected = try Tensors.doubles(#require(test.path("expected")))
  let valid = try #require(try Tensors.doubles(inputs)["attention_mask"]).values
  var worst = 0.0
  for (name, result) in results {
    guard let reference = expected[name] else { continue }
    let width = test.isPerToken(name) ? reference.values.count / valid.count : 0
    let places = reference.values.indices.filter { width == 0 || valid[$0 / width] != 0 }
    let scale = places.map { abs(reference.values[$0]) }.max() ?? 1
    for place in places { worst = max(worst, abs(result.values[place] - reference.values[place]) / scale) }
  }
  return worst
}
