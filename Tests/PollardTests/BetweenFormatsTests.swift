import Pollard
import PollardBase
import Testing

@Suite("A model and its conversion are held to each other: computation, weights, outputs")
struct BetweenFormatsTests {
  /// A golden checkpoint as a GGUF file; without a type nothing is rounded.
  private func converted(_ source: String, _ folder: TemporaryFolder, type: WeightType? = .f32) throws -> String {
    try Model(at: source).convert(
      to: folder("model.gguf"), type: type, options: WriteOptions(format: .gguf), pool: pool)
    return folder("model.gguf")
  }

  @Test(
    "where nothing was rounded, the outputs are the same bits",
    arguments: [
      "llama-grouped", "llama-rope-llama3", "qwen2", "qwen3-5", "gemma", "gpt2-lm", "bloom-lm", "phi3",
      "gpt-neox-lm", "falcon-grouped", "stablelm", "distilbert-plain",
    ])
  func exact(_ name: String) throws {
    let folder = try TemporaryFolder()
    let path = golden + "/\(name)/dense"
    let verdict = try verify(original: path, compacted: converted(path, folder), pool: pool)
    #expect(verdict.equal && verdict.bitIdentical == true && verdict.report.roundedTensors == 0, "\(verdict.text)")
  }

  @Test(
    "another configuration is another function, rounded weights or not",
    arguments: [
      ("rope_theta", JSONValue(1_000_000.0)), ("rms_norm_eps", JSONValue(0.001)), ("hidden_act", JSONValue("relu")),
    ], [WeightType.f32, .q8_0])
  func configuration(_ change: (String, JSONValue), type: WeightType) throws {
    let folder = try TemporaryFolder()
    let tiny = golden + "/gguf/tiny"
    let file = try converted(tiny, folder, type: type)
    let other = try folder.copy(tiny, as: "other")
    try Files.set(change.0, to: change.1, in: other + "/config.json")
    let verdict = try verify(original: other, compacted: file, pool: pool)
    #expect(!verdict.equal && !verdict.report.structure.ok, "\(verdict.text)")
  }

  @Test(
    "a window or a rotary scaling that GGUF does not hold is missed",
    arguments: ["mistral-window", "llama-rope-dynamic"])
  func dropped(_ name: String) throws {
    let folder = try TemporaryFolder()
    let path = golden + "/\(name)/dense"
    let verdict = try verify(original: path, compacted: converted(path, folder), pool: pool)
    #expect(!verdict.equal && !verdict.report.structure.ok, "\(verdict.text)")
  }

  @Test("an output that is lost is named, and the models are not equal")
  func lostOutput() throws {
    let folder = try TemporaryFolder()
    let path = golden + "/bert-plain-5/dense"
    let verdict = try verify(original: path, compacted: converted(path, folder), pool: pool)
    #expect(!verdict.equal)
    #expect(verdict.firstDifference == "output pooler_output is missing, for which GGUF has no place")
  }

  @Test("a norm changed in a packed file is found, which stores it whole", arguments: [WeightType.f16, .q8_0])
  func alteredNorm(_ type: WeightType) throws {
    let folder = try TemporaryFolder()
    let tiny = golden + "/gguf/tiny"
    let other = try folder.copy(tiny, as: "other")
    try Tensors.flipBit(0, ofByte: 0, of: "model.layers.0.post_attention_layernorm.weight", in: other)
    let verdict = try verify(original: tiny, compacted: converted(other, folder, type: type), pool: pool)
    #expect(!verdict.equal)
    #expect(verdict.firstDifference?.contains("layers.0.post_attention_layernorm.weight") == true, "\(verdict.text)")
  }

  @Test("a tolerance of 0 that is asked for asks for the same bits")
  func noTolerance() throws {
    let folder = try TemporaryFolder()
    let tiny = golden + "/gguf/tiny"
    let file = try converted(tiny, folder, type: .q8_0)
    let usual = try verify(original: tiny, compacted: file, pool: pool)
    #expect(usual.equal && usual.bitIdentical == false, "\(usual.text)")
    let strict = try verify(
      original: tiny, compacted: file, options: VerificationOptions(tolerance: 0), pool: pool)
    #expect(!strict.equal, "\(strict.text)")
  }

  @Test("the receipt of a compaction goes along with a conversion", arguments: [ModelFormat.gguf, .onnx])
  func receipt(_ format: ModelFormat) throws {
    let folder = try TemporaryFolder()
    let path = golden + "/llama-grouped/masked"
    let model = try Model(at: path)
    try model.compact(model.plan(options: PlanOptions(shape: .uniform)), to: folder("small"), pool: pool)
    let name = folder(format == .gguf ? "small.gguf" : "small.onnx")
    try Model(at: folder("small")).convert(
      to: name, type: .f32, options: WriteOptions(format: format), pool: pool)
    let verdict = try verify(original: path, compacted: name, pool: pool)
    #expect(verdict.equal && verdict.report.mapping == "the receipt", "\(verdict.text)")
    guard format == .gguf else { return }
    try Model(at: name).convert(
      to: folder("back"), type: nil, options: WriteOptions(format: .safetensors), pool: pool)
    let back = try verify(original: path, compacted: folder("back"), pool: pool)
    #expect(back.equal && back.report.mapping == "the receipt", "\(back.text)")
  }

  @Test("types that rows are too short for are told")
  func replacedTypes() throws {
    let folder = try TemporaryFolder()
    let report = try Model(at: golden + "/llama-grouped/dense").convert(
      to: folder("model.gguf"), type: .q4_k_m, options: WriteOptions(format: .gguf), pool: pool)
    #expect(report.notes.contains { $0.contains("do not fill blocks of Q4_K") }, "\(report.text)")
  }

  @Test("the activation that T5 saves beside its short form is the one that counts")
  func savedActivation() throws {
    let folder = try TemporaryFolder()
    let path = try folder.copy(golden + "/t5-lm-5/dense", as: "t5")
    try Files.set("dense_act_fn", to: "silu", in: path + "/config.json")
    #expect(try !verify(original: golden + "/t5-lm-5/dense", compacted: path, pool: pool).equal)
  }
}
