import Pollard
import PollardBase
import Testing

/// A golden checkpoint under its masks, with what its configuration must say afterwards.
struct ConfigurationCase: Sendable, CustomTestStringConvertible {
  var name: String
  var shape: ShapePolicy
  /// The keys that change or appear, with their values.
  var changes: [(key: String, value: JSONValue)]

  var testDescription: String { "\(name), \(shape)" }

  // From the manifest's counts: heads and neurons that each layer keeps, and the lists in its masks.json.
  static let all = [
    ConfigurationCase(name: "bert-plain", shape: .auto, changes: [("pruned_heads", ["0": [1], "2": [0, 2]])]),
    ConfigurationCase(
      name: "llama-tied", shape: .uniform,
      changes: [
        ("num_attention_heads", 2), ("num_key_value_heads", 2), ("intermediate_size", 30),
      ]),
    ConfigurationCase(
      name: "llama-multi-head", shape: .uniform,
      changes: [
        ("num_attention_heads", 2), ("num_key_value_heads", 2), ("head_dim", 8),
      ]),
    ConfigurationCase(name: "qwen2", shape: .uniform, changes: [("intermediate_size", 42)]),
    ConfigurationCase(
      name: "llama-grouped", shape: .ragged,
      changes: [
        ("num_attention_heads", 6), ("num_key_value_heads", 3), ("intermediate_size", 30),
      ]),
    ConfigurationCase(name: "bert-nothing", shape: .auto, changes: []),
  ]
}

@Suite("A configuration is edited, not rewritten")
struct ConfigurationTests {
  @Test("only the keys that must change do, in their place and with their values", arguments: ConfigurationCase.all)
  func edited(_ entry: ConfigurationCase) throws {
    let folder = try TemporaryFolder()
    let (scenario, output) = try compacted(entry.name, .masks, in: folder, options: PlanOptions(shape: entry.shape))
    let before = try #require(Files.json(Paths.join(scenario.original, "config.json")).objectValue)
    let after = try #require(Files.json(Paths.join(output, "config.json")).objectValue)
    let changed = after.keys.filter { after[$0] != before[$0] }
    #expect(Set(changed) == Set(entry.changes.map(\.key)))
    for (key, value) in entry.changes { #expect(after[key] == value, "\(key)") }
    #expect(after.keys.filter { before[$0] != nil } == before.keys, "the order of the keys that were there")
  }

  @Test("lines that say the same are the same text: numbers keep their spelling")
  func spelling() throws {
    let folder = try TemporaryFolder()
    let source = try folder.copy(golden + "/bert-plain/masked", as: "in")
    let text = try Files.text(Paths.join(source, "config.json"))
      .replacing("\"layer_norm_eps\": 1e-12", with: "\"layer_norm_eps\": 1.0E-12")
      .replacing("\"hidden_dropout_prob\": 0.1", with: "\"hidden_dropout_prob\": 0.10000000000000000001")
    try folder.write("in/config.json", text)
    let model = try Model(at: source)
    _ = try model.compact(model.plan(pool: pool), to: folder("out"), pool: pool)
    let written = try Files.text(folder("out/config.json"))
    #expect(written.contains("\"layer_norm_eps\": 1.0E-12"))
    #expect(written.contains("\"hidden_dropout_prob\": 0.10000000000000000001"))
    let lines = Set(written.split(separator: "\n").map { $0.trimmingComma })
    for line in text.split(separator: "\n") { #expect(lines.contains(line.trimmingComma), "\(line)") }
  }

  @Test("pruned_heads lists exactly the heads that go, for every class that has it", arguments: Scenario.compacting)
  func prunedHeads(_ scenario: Scenario) throws {
    let type = scenario.golden.entry["model_type"]?.stringValue
    guard let type, ["bert", "roberta", "xlm-roberta", "distilbert", "gpt2"].contains(type) else { return }
    let folder = try TemporaryFolder()
    let report = try scenario.compact(to: folder("out"), options: PlanOptions())
    var expected: [String: [Int]] = [:]
    for layer in report.plan.layers {
      let gone = layer.heads?.units.removed.map(\.index) ?? []
      if !gone.isEmpty { expected["\(layer.index)"] = gone }
    }
    let written = try Files.json(folder("out/config.json"))["pruned_heads"]?.objectValue
    #expect((written?.keys ?? []) == expected.keys.sorted { (Int($0) ?? 0) < (Int($1) ?? 0) })
    for (layer, heads) in expected {
      #expect(written?[layer]?.arrayValue?.compactMap(\.intValue) == heads, "layer \(layer)")
    }
    #expect(try Model(at: folder("out")).layers.map(\.heads) == report.layers.map(\.heads))
  }
}

extension Substring {
  fileprivate var trimmingComma: Substring { hasSuffix(",") ? dropLast() : self }
}

@Suite("A model that was compacted before is compacted again")
struct RecompactionTests {
  private func compact(
    _ source: String, _ mask: String, to output: String, in folder: TemporaryFolder, shape: ShapePolicy = .auto
  ) throws {
    try folder.write("\(output).json", mask)
    let model = try Model(at: source)
    let plan = try model.plan(masks: .file(folder("\(output).json")), options: PlanOptions(shape: shape), pool: pool)
    _ = try model.compact(plan, to: folder(output), pool: pool)
    let verification = try verify(
      original: source, compacted: folder(output), masks: .file(folder("\(output).json")),
      options: VerificationOptions(batch: 1, length: 4), pool: pool)
    #expect(verification.equal, "\(verification.text)")
  }

  @Test("pruned_heads of both times are one list in the numbers of the very first model")
  func merged() throws {
    let folder = try TemporaryFolder()
    let dense = golden + "/bert-plain/dense"
    try compact(dense, #"{"remove": {"heads": {"0": [1], "2": [0]}}}"#, to: "a", in: folder)
    #expect(try Files.json(folder("a/config.json"))["pruned_heads"] == ["0": [1], "2": [0]])
    // Head 1 of layer 0 is now the first model's head 2; layer 1 is untouched so far.
    try compact(folder("a"), #"{"remove": {"heads": {"0": [1], "1": [2], "2": [1]}}}"#, to: "b", in: folder)
    #expect(try Files.json(folder("b/config.json"))["pruned_heads"] == ["0": [1, 2], "1": [2], "2": [0, 2]])
    try folder.write("both.json", #"{"remove": {"heads": {"0": [1, 2], "1": [2], "2": [0, 2]}}}"#)
    let verification = try verify(
      original: dense, compacted: folder("b"), masks: .file(folder("both.json")),
      options: VerificationOptions(batch: 1, length: 4), pool: pool)
    #expect(verification.equal, "\(verification.text)")
  }

  @Test(
    "two steps give the weights that one step gives", arguments: ["llama-grouped", "gpt2-plain", "distilbert-plain"])
  func composed(_ name: String) throws {
    let folder = try TemporaryFolder()
    let dense = golden + "/\(name)/dense"
    try compact(dense, #"{"remove": {"ffn": {"0": [3, 4], "1": [0]}}}"#, to: "a", in: folder, shape: .ragged)
    try compact(folder("a"), #"{"remove": {"ffn": {"0": [3], "1": [0, 2]}}}"#, to: "b", in: folder, shape: .ragged)
    try compact(dense, #"{"remove": {"ffn": {"0": [3, 4, 5], "1": [0, 1, 3]}}}"#, to: "c", in: folder, shape: .ragged)
    #expect(try Tensors.stored(folder("b")) == Tensors.stored(folder("c")))
  }

  @Test(
    "with nothing more to remove the copy opens and is equal, ragged or not",
    arguments: ["llama-grouped", "bert-plain"])
  func copied(_ name: String) throws {
    let folder = try TemporaryFolder()
    let (_, output) = try compacted(name, .zeros, in: folder)
    let model = try Model(at: output)
    let report = try model.compact(
      model.plan(options: PlanOptions(shape: .ragged), pool: pool), to: folder("copy"), pool: pool)
    #expect(report.isCopy)
    #expect(try Model(at: folder("copy")).layers == model.layers)
    #expect(
      try verify(
        original: output, compacted: folder("copy"), options: VerificationOptions(batch: 1, length: 3), pool: pool
      ).equal)
  }

  @Test("converted to another type a ragged model still opens")
  func converted() throws {
    let folder = try TemporaryFolder()
    let (_, output) = try compacted("llama-tied", .zeros, in: folder)
    let model = try Model(at: output)
    try model.convert(to: folder("half"), type: .bf16, pool: pool)
    #expect(try Model(at: folder("half")).layers == model.layers)
    #expect(try Tensors.stored(folder("half")).values.allSatisfy { $0.type == "BF16" })
  }
}
