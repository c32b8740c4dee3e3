import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Fused projections, linear biases and relative positions")
struct FusedTests {
  /// A golden model with other keys.
  private func imported(_ name: String, _ changes: [String: JSONValue]) throws -> ImportedModel {
    let folder = try HuggingFaceFolder(at: Paths.join(golden, "\(name)/dense"))
    var config = folder.config
    for (key, value) in changes { config = config.settingKey(key, to: value) }
    return try ImportedModel(config: config, tensors: folder.tensors)
  }

  @Test(
    "a head cut from a matrix that holds each head's query, key and value is a slice of rows, listed in pruned_heads",
    arguments: [
      ("gpt-neox-lm", "gpt_neox.layers.0.attention", "dense"), ("bloom-lm", "transformer.h.0.self_attention", "dense"),
      ("falcon-linear", "transformer.h.0.self_attention", "dense"),
    ])
  func heads(_ name: String, _ attention: String, _ output: String) throws {
    let model = try dense(name)
    var cut = HandCut(model)
    let rows = [0, 2].flatMap { $0 * 24..<($0 + 1) * 24 }
    try cut.keep("\(attention).query_key_value.weight", rows, axis: 0)
    try cut.keep("\(attention).query_key_value.bias", rows, axis: 0)
    try cut.keep("\(attention).\(output).weight", [0, 2].flatMap { $0 * 8..<($0 + 1) * 8 }, axis: 1)
    cut.layers[0].heads = 2
    cut.layers[0].keyValueHeads = 2
    cut.keptHeads[0] = [0, 2]
    let exported = try cut.exported()
    #expect(exported.config["pruned_heads"] == ["0": [1]])
    #expect(exported.changedKeys(model.config) == ["pruned_heads"])
    let fused = try #require(exported.tensors.first { $0.name == "\(attention).query_key_value.weight" })
    #expect(fused.weight.sourceSlice?.kept == [rows, nil])
    let again = try exported.reimported()
    #expect(again.layers.map(\.heads) == [2, 3])
    #expect(again.originalHeads == [[0, 2], [0, 1, 2]])
    #expect(again.loaderRules.rows.filter { $0.loader.hasPrefix("transformers") }.allSatisfy { $0.opens == false })
  }

  private func slopes(_ model: ImportedModel, layer: Int) throws -> [Float] {
    let name = "h.\(layer).self_attention.slopes"
    let value = try #require(model.graph.values.first { $0.name == name })
    return try #require(value.initializer).floats()
  }

  /// Two to the power of -8 (h + 1) / n for powers of two; the rest from the next one, every second.
  @Test("slopes follow from the number of heads, and stay what they are when a head goes")
  func slopes() throws {
    #expect(try slopes(dense("bloom-lm"), layer: 1) == [0.0625, 0.003_906_25, 0.25])
    #expect(try slopes(dense("bloom-lm-5"), layer: 0) == [0.25, 0.0625, 0.015_625, 0.003_906_25])
    #expect(try slopes(dense("bloom-plain-5"), layer: 0) == [0.25, 0.0625, 0.015_625, 0.003_906_25, 0.5, 0.125])
    var cut = HandCut(try dense("bloom-plain-5"))
    let kept = [0, 3, 5]
    let rows = kept.flatMap { $0 * 12..<($0 + 1) * 12 }
    try cut.keep("h.1.self_attention.query_key_value.weight", rows, axis: 0)
    try cut.keep("h.1.self_attention.query_key_value.bias", rows, axis: 0)
    try cut.keep("h.1.self_attention.dense.weight", kept.flatMap { $0 * 4..<($0 + 1) * 4 }, axis: 1)
    cut.layers[1].heads = 3
    cut.layers[1].keyValueHeads = 3
    cut.keptHeads[1] = kept
    #expect(try slopes(cut.exported().reimported(), layer: 1) == [0.25, 0.003_906_25, 0.125])
  }

  @Test(
    "variants that no class computes are refused by their key",
    arguments: [
      ("falcon-grouped", "parallel_attn", JSONValue.bool(false)), ("falcon-multi-query", "num_ln_in_parallel_attn", 2),
      ("falcon-linear", "num_kv_heads", 1), ("falcon-grouped", "num_kv_heads", 5),
      ("gpt-neox-lm", "rotary_pct", 0.01), ("gpt-neox-lm", "num_attention_heads", 5),
      ("t5-encoder", "feed_forward_proj", "gated-tango"), ("t5-encoder", "relative_attention_max_distance", 2),
      ("t5-encoder", "relative_attention_num_buckets", 2),
    ])
  func refused(_ name: String, _ key: String, _ value: JSONValue) throws {
    let error = #expect(throws: FormatError.self) { try imported(name, [key: value]) }
    #expect(error?.description.contains(key) == true, "\(error?.description ?? "")")
  }

  @Test("pruned heads that leave groups unequal are refused")
  func unequalGroups() throws {
    let error = #expect(throws: FormatError.self) { try imported("falcon-grouped", ["pruned_heads": ["0": [1]]]) }
    #expect(error?.code == .configurationValue)
    #expect(error?.description.contains("2, 3") == true)
  }

  /// The buckets that `T5Attention._relative_position_bucket` of transformers 5.23 gives for keys at these distances.
  static let distances = [-127, -64, -32, -16, -15, -9, -8, -7, -1, 0, 1, 7, 8, 9, 15, 16, 32, 64, 127, 128]
  static let buckets: [(RelativeBuckets, [Int])] = [
    (
      RelativeBuckets(count: 32, maximumDistance: 128, isBidirectional: true),
      [15, 14, 12, 10, 9, 8, 8, 7, 1, 0, 17, 23, 24, 24, 25, 26, 28, 30, 31, 31]
    ),
    (
      RelativeBuckets(count: 32, maximumDistance: 128, isBidirectional: false),
      [31, 26, 21, 16, 15, 9, 8, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    ),
    (
      RelativeBuckets(count: 8, maximumDistance: 12, isBidirectional: true),
      [3, 3, 3, 3, 3, 3, 3, 3, 1, 0, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7]
    ),
  ]

  @Test("relative positions fall into the buckets of transformers", arguments: buckets)
  func relativeBuckets(_ buckets: RelativeBuckets, _ expected: [Int]) {
    #expect(Self.distances.map(buckets.bucket) == expected)
  }

  @Test("copies of T5's embedding are one parameter; other values under its other names are refused")
  func embeddings() throws {
    let folder = try HuggingFaceFolder(at: Paths.join(golden, "t5-lm/dense"))
    let shared = try #require(folder.tensors.first { $0.name == "shared.weight" })
    func model(_ weight: Weight) throws -> ImportedModel {
      try ImportedModel(
        config: folder.config,
        tensors: folder.tensors + [NamedTensor(name: "encoder.embed_tokens.weight", weight: weight)])
    }
    let twice = try model(shared.weight)
    #expect(twice.passedThrough.map(\.reason) == [.copy(of: "shared.weight")])
    #expect(try twice.parameterCount == dense("t5-lm").parameterCount)
    let error = #expect(throws: FormatError.self) {
      try model(.zeros(type: .f32, shape: shared.weight.shape))
    }
    #expect(error?.code == .duplicateParameter)
  }
}
