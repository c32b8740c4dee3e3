import ModelArchitectures
import Pollard
import PollardBase
import Testing

/// A small model with its tokenizer, and what the tokenizers package and torch say of it.
struct VocabularyCase: Sendable, CustomTestStringConvertible {
  let name: String

  static let all = [
    "gpt2", "gpt2-older-files", "llama3", "roberta", "bert-cased", "bert-text-file", "llama-byte-fallback", "gemma",
    "t5", "xlm-roberta-json",
  ].map(VocabularyCase.init)

  var testDescription: String { name }
  var model: String { golden + "/vocabulary/\(name)/model" }

  func expected() throws -> JSONValue { try Files.json(golden + "/vocabulary/\(name)/expected.json") }

  /// The ids of the corpus, as a file.
  func corpus(in folder: TemporaryFolder) throws -> String {
    try Files.write(folder("corpus.json"), (expected()["corpus"] ?? .null).serializedBytes(.compact))
    return folder("corpus.json")
  }

  /// The model with the tokens of the corpus alone, written and verified.
  @discardableResult
  func compact(to output: String, in folder: TemporaryFolder) throws -> CompactionReport {
    let smaller = try Model(at: model).keeping(tokens: .corpus(file: corpus(in: folder)))
    return try smaller.compact(
      smaller.plan(pool: pool), to: output, options: WriteOptions(verifies: true), pool: pool)
  }
}

private func integers(_ value: JSONValue?) -> [Int] { (value?.arrayValue ?? []).compactMap(\.intValue) }

@Suite("Tokens can be removed, and nothing changes for those that stay")
struct VocabularyTests {
  @Test(
    "the tokens that stay are those that the rules ask for, and both models agree bit for bit",
    arguments: VocabularyCase.all)
  func kept(_ entry: VocabularyCase) throws {
    let folder = try TemporaryFolder()
    let report = try entry.compact(to: folder("small"), in: folder)
    #expect(report.verification?.equal == true, "\(report.text)")
    #expect(report.verification?.bitIdentical == true)
    let expected = try entry.expected()
    let small = try Model(at: folder("small"))
    #expect(small.receipt?.vocabulary?.tokens?.identifiers == integers(expected["kept"]))
    #expect(report.parameters.after == small.parameterCount && report.parameters.before > report.parameters.after)
    let later = try verify(original: entry.model, compacted: folder("small"), pool: pool)
    #expect(later.equal && later.bitIdentical == true, "\(later.text)")
    #expect(later.keptTokens?.count == small.receipt?.vocabulary?.count)
  }

  @Test(
    "the new files give every text of kept tokens its remapped ids",
    arguments: VocabularyCase.all.filter { !["t5", "xlm-roberta-json", "gemma"].contains($0.name) })
  func texts(_ entry: VocabularyCase) throws {
    let folder = try TemporaryFolder()
    try entry.compact(to: folder("small"), in: folder)
    let config = try Files.json(folder("small/config.json"))
    let encoder = try #require(
      try TextEncoder(files: TokenizerFiles(folder: folder("small")), configuration: config))
    let texts = try entry.expected()["texts"]?.arrayValue ?? []
    try #require(texts.count >= 20)
    let added = integers(texts.first?[1]).count - (integers(texts.first?[2]).count)
    #expect(added == 0)
    for text in texts {
      let ids = try #require(encoder.identifiers(of: text[0]?.stringValue ?? ""))
      #expect(ids == integers(text[2]), "\(text[0]?.stringValue ?? "")")
    }
  }

  @Test("the logits are torch's of the whole model", arguments: VocabularyCase.all.filter { $0.name != "t5" })
  func logits(_ entry: VocabularyCase) throws {
    let folder = try TemporaryFolder()
    try entry.compact(to: folder("small"), in: folder)
    let expected = try entry.expected()
    let small = try Model(at: folder("small"))
    let kept = try #require(small.receipt?.vocabulary?.tokens)
    let ids = integers(expected["corpus"]?[0]).compactMap(kept.newIdentifier)
    try Tensors.write(
      [
        (
          "input_ids", .i64, [1, ids.count],
          ids.flatMap { id in (0..<8).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) } }
        )
      ],
      to: folder("inputs.safetensors"))
    try small.run(inputs: folder("inputs.safetensors"), outputs: folder("outputs.safetensors"), pool: pool)
    let found = try #require(try Tensors.doubles(folder("outputs.safetensors"))["logits"])
    let wanted = (expected["logits"]?.arrayValue ?? []).flatMap { ($0.arrayValue ?? []).compactMap(\.doubleValue) }
    try #require(wanted.count == found.values.count)
    let largest = wanted.map(abs).max() ?? 0
    let difference = zip(wanted, found.values).map { abs($0 - $1) }.max() ?? .infinity
    #expect(difference <= 1e-5 * largest, "\(difference) of \(largest)")
  }

  @Test("lists of tokens are understood in every form", arguments: 0..<6)
  func forms(_ form: Int) throws {
    let folder = try TemporaryFolder()
    let entry = VocabularyCase(name: "bert-cased")
    let vocabulary = try Files.json(entry.model + "/tokenizer.json")["model"]?["vocab"]?.objectValue ?? JSONObject()
    let texts = ["##ing", "the", "dog", "Ġ"].filter { vocabulary[$0] != nil }
    let ids = texts.compactMap { vocabulary[$0]?.intValue }
    try #require(ids.count == 3 || ids.count == 2)
    let list = ids.map(String.init)
    let bytes: [UInt8]
    switch form {
    case 0: bytes = Array((texts.joined(separator: "\n") + "\n").utf8)
    case 1: bytes = Array(("\n" + texts.joined(separator: "\r\n")).utf8)
    case 2: bytes = Array(list.joined(separator: ", ").utf8)
    case 3: bytes = Array("[\(list.joined(separator: ",")), [\"the\"]]".utf8)
    case 4:
      bytes = Array("{\"input_ids\": [\(list[0])], \"n\": 9}\n{\"input_ids\": [\(list.joined(separator: ","))]}\n".utf8)
    default:
      let layout = ids.flatMap { id in [UInt8(truncatingIfNeeded: id), UInt8(truncatingIfNeeded: id >> 8)] }
      try Tensors.write([("ids", .u16, [ids.count], layout)], to: folder("tokens"))
      bytes = try Files.bytes(folder("tokens"))
    }
    try Files.write(folder("tokens"), bytes)
    let model = try Model(at: entry.model).keeping(tokens: .tokens(file: folder("tokens")))
    // [PAD], [UNK], [CLS], [SEP], [MASK], and what was asked for.
    #expect(model.vocabulary?.kept.identifiers == Array(0...4) + ids.sorted())
    #expect(model.vocabulary?.reasons[.requested] == ids.count)
  }

  @Test("a vocab_mask works together with masks of heads and neurons")
  func masks() throws {
    let folder = try TemporaryFolder()
    let entry = VocabularyCase(name: "bert-cased")
    let kept = integers(try entry.expected()["kept"])
    let original = try Model(at: entry.model)
    let rows = try #require(try Files.json(entry.model + "/config.json")["vocab_size"]?.intValue)
    func ones(_ count: Int, except zeros: Set<Int>) -> [UInt8] { (0..<count).map { zeros.contains($0) ? 0 : 1 } }
    try Tensors.write(
      [
        ("vocab_mask", .u8, [rows], ones(rows, except: Set(0..<rows).subtracting(kept))),
        ("head_mask", .u8, [1, 2], [1, 0]), ("ffn_mask", .u8, [1, 16], ones(16, except: [3, 4])),
      ], to: folder("masks"))
    let source = MaskSource.file(folder("masks"))
    let smaller = try original.keeping(tokens: .mask(file: folder("masks")))
    let plan = try smaller.plan(masks: source, options: PlanOptions(shape: .ragged), pool: pool)
    let report = try smaller.compact(
      plan, to: folder("small"), options: WriteOptions(verifies: true), pool: pool, masks: source)
    #expect(report.verification?.equal == true && report.verification?.bitIdentical == true, "\(report.text)")
    #expect(report.layers[0].heads == 1 && report.layers[0].feedForward == 14)
    #expect(try verify(original: entry.model, compacted: folder("small"), masks: source, pool: pool).equal)
    #expect(try !verify(original: entry.model, compacted: folder("small"), pool: pool).equal)
  }

  @Test(
    "a token is kept with what it is merged from, in the order of the merges, and not with what it could be merged from"
  )
  func merges() throws {
    let folder = try TemporaryFolder()
    try Files.copy(VocabularyCase(name: "gpt2").model, to: folder("model"))
    // "b c" comes first, so "abc" is "a" and "bc"; "ab" is never made on the way.
    let text =
      #"{"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null, "#
      + #""model": {"type": "BPE", "vocab": {"z": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "abc": 6, "abcab": 7}, "#
      + #""merges": ["b c", "a b", "a bc", "ab c", "abc ab"]}}"#
    try Files.write(folder("model/tokenizer.json"), Array(text.utf8))
    try Files.write(
      folder("model/tokenizer_config.json"), Array(#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#.utf8))
    for (wanted, kept, merges) in [
      ("abc", [1, 2, 3, 5, 6], ["b c", "a bc"]), ("ab", [1, 2, 4], ["a b"]),
      ("abcab", [1, 2, 3, 4, 5, 6, 7], ["b c", "a b", "a bc", "ab c", "abc ab"]), ("z", [], []),
    ] as [(String, [Int], [JSONValue])] {
      try Files.write(folder("tokens"), Array(wanted.utf8))
      let smaller = try Model(at: folder("model")).keeping(tokens: .tokens(file: folder("tokens")))
      // The configuration names 0 as begin and end.
      #expect(smaller.vocabulary?.kept.identifiers == [0] + kept, "\(wanted)")
      try smaller.compact(
        smaller.plan(pool: pool), to: folder("small"), options: WriteOptions(replacing: true), pool: pool)
      let model = try Files.json(folder("small/tokenizer.json"))["model"]
      #expect(model?["merges"] == .array(merges), "\(wanted)")
    }
  }

  @Test("ids in configurations follow, in every form")
  func configurations() throws {
    let folder = try TemporaryFolder()
    let entry = VocabularyCase(name: "bert-cased")
    try Files.copy(entry.model, to: folder("model"))
    let text =
      #"{"eos_token_id": [3, 90], "suppress_tokens": [100], "forced_decoder_ids": [[1, 101]], "bad_words_ids": [[102, 103], [104]], "#
      + #""sequence_bias": [[[105], -1.5]], "lang_to_id": {"en": 106}, "max_length": 99, "image_token_index": 1000}"#
    try Files.write(folder("model/generation_config.json"), Array(text.utf8))
    try Files.set("eos_token_id", to: 91, in: folder("model/config.json"))
    try Files.set("best_ids", to: [5], in: folder("model/config.json"))
    try Files.write(folder("tokens"), Array("10".utf8))
    let smaller = try Model(at: folder("model")).keeping(tokens: .tokens(file: folder("tokens")))
    #expect(smaller.vocabulary?.kept.identifiers == [0, 1, 2, 3, 4, 10, 90, 91] + Array(100...106))
    #expect(smaller.vocabulary?.notes.contains { $0.contains("best_ids") } == true)
    try smaller.compact(smaller.plan(pool: pool), to: folder("small"), pool: pool)
    let written = try Files.json(folder("small/generation_config.json"))
    let wanted = try JSONValue(
      parsing:
        #"{"eos_token_id": [3, 6], "suppress_tokens": [8], "forced_decoder_ids": [[1, 9]], "bad_words_ids": [[10, 11], [12]], "#
        + #""sequence_bias": [[[13], -1.5]], "lang_to_id": {"en": 14}, "max_length": 99, "image_token_index": 1000}"#)
    #expect(written == wanted)
    let config = try Files.json(folder("small/config.json"))
    #expect(config["eos_token_id"] == 7 && config["vocab_size"] == 15 && config["best_ids"] == [5])
  }

  @Test("an id that a class has by default is written out when it changes")
  func defaults() throws {
    let folder = try TemporaryFolder()
    try Files.copy(golden + "/falcon-multi-query/dense", to: folder("model"))
    for key in ["bos_token_id", "eos_token_id", "pad_token_id"] {
      try Files.set(key, to: nil, in: folder("model/config.json"))
    }
    try Files.write(folder("model/generation_config.json"), Array("{}".utf8))
    try Files.write(folder("tokens"), Array("20 21 22 60".utf8))
    let smaller = try Model(at: folder("model")).keeping(tokens: .tokens(file: folder("tokens")))
    #expect(smaller.vocabulary?.kept.identifiers == [11, 20, 21, 22, 60])
    try smaller.compact(
      smaller.plan(pool: pool), to: folder("small"), options: WriteOptions(verifies: true), pool: pool)
    let config = try Files.json(folder("small/config.json"))
    #expect(config["bos_token_id"] == 0 && config["eos_token_id"] == 0)
  }

  @Test("positions that count from the padding token keep its id", arguments: [1, 7])
  func positions(_ padding: Int) throws {
    let folder = try TemporaryFolder()
    try Files.copy(golden + "/roberta-masked-lm-5/dense", to: folder("model"))
    try Files.set("pad_token_id", to: JSONValue(padding), in: folder("model/config.json"))
    try Files.write(folder("tokens"), Array("50 51 60".utf8))
    let smaller = try Model(at: folder("model")).keeping(tokens: .tokens(file: folder("tokens")))
    #expect(smaller.vocabulary?.kept.identifiers.prefix(padding + 1) == ArraySlice(0...padding))
    let report = try smaller.compact(
      smaller.plan(pool: pool), to: folder("small"), options: WriteOptions(verifies: true), pool: pool)
    #expect(report.verification?.equal == true && report.verification?.bitIdentical == true, "\(report.text)")
    #expect(try Files.json(folder("small/config.json"))["pad_token_id"]?.intValue == padding)
  }

  @Test("models of every family lose rows and keep the rest", arguments: GoldenCase.vocabularyModels)
  func families(_ name: String) throws {
    let folder = try TemporaryFolder()
    let path = golden + "/\(name)/dense"
    try Files.write(folder("tokens"), Array("5 17 20 21 40".utf8))
    let smaller = try Model(at: path).keeping(tokens: .tokens(file: folder("tokens")))
    let report = try smaller.compact(
      smaller.plan(pool: pool), to: folder("small"), options: WriteOptions(verifies: true), pool: pool)
    #expect(report.verification?.equal == true && report.verification?.bitIdentical == true, "\(report.text)")
    let before = try Tensors.stored(path)
    let after = try Tensors.stored(folder("small"))
    #expect(Set(before.keys) == Set(after.keys))
    let rows = try #require(smaller.vocabulary?.kept)
    for (name, tensor) in before where tensor != after[name] {
      let small = try #require(after[name])
      #expect(small.shape.filter { $0 == rows.count }.count >= 1 && tensor.shape.contains(rows.before), "\(name)")
      let width = tensor.bytes.count / rows.before
      let expected = rows.identifiers.flatMap { tensor.bytes[$0 * width..<($0 + 1) * width] }
      #expect(small.bytes == expected, "\(name)")
    }
  }

  @Test("the same removal on the way to other formats", arguments: [ModelFormat.gguf, .onnx])
  func formats(_ format: ModelFormat) throws {
    let folder = try TemporaryFolder()
    let entry = VocabularyCase(name: "gpt2")
    let smaller = try Model(at: entry.model).keeping(tokens: .corpus(file: entry.corpus(in: folder)))
    let output = folder("small.\(format.rawValue)")
    let report = try smaller.compact(
      smaller.plan(options: PlanOptions(format: format), pool: pool), to: output,
      options: WriteOptions(format: format, verifies: true), pool: pool)
    #expect(report.verification?.equal == true, "\(report.text)")
    #expect(try verify(original: entry.model, compacted: output, pool: pool).equal)
  }
}

extension GoldenCase {
  /// One checkpoint of each family, with language-model heads where there are any.
  static let vocabularyModels = [
    "bert-masked-lm", "bert-plain", "distilbert-masked-lm-5", "roberta-masked-lm-5", "xlm-roberta-masked-lm", "gpt2-lm",
    "gpt2-plain", "llama-tied", "llama-grouped", "llama-sharded", "mistral-window", "qwen2", "qwen3", "gemma", "gemma2",
    "gemma3", "phi3", "stablelm", "gpt-neox-lm", "falcon-multi-query", "bloom-lm", "t5-lm", "t5-lm-untied",
    "t5-encoder",
  ]
}
