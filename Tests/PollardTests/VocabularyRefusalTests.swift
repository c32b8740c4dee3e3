import Pollard
import PollardBase
import Testing

@Suite("A smaller vocabulary is refused or found out where it is not what it says")
struct VocabularyRefusalTests {
  private let entry = VocabularyCase(name: "gpt2")

  private func refusal(_ text: String, _ request: (String) -> TokenRequest) throws -> String {
    let folder = try TemporaryFolder()
    try Files.write(folder("list"), Array(text.utf8))
    do {
      _ = try Model(at: entry.model).keeping(tokens: request(folder("list")))
      return "nothing was refused"
    } catch { return "\(error)" }
  }

  @Test(
    "lists of tokens that are not there",
    arguments: [
      ("Ġnosuchtoken", "there is no such token"), ("5 320", "expected ids from 0 to 319, found 320"),
      ("", "expected at least one token"), ("[1.5]", "expected ids and texts of tokens"),
      ("[-1]", "expected ids from 0 on"),
    ])
  func lists(_ text: String, _ part: String) throws {
    let message = try refusal(text) { .tokens(file: $0) }
    #expect(message.contains(part), "\(message)")
  }

  @Test("a corpus is ids, not text", arguments: ["the dog", "[\"the\"]", "1 2 -100"])
  func corpus(_ text: String) throws {
    let message = try refusal(text) { .corpus(file: $0) }
    #expect(message.contains("not a list of tokens") && message.contains("list"), "\(message)")
  }

  @Test("graphs and GGUF files have no tokenizer files to rewrite")
  func otherFormats() throws {
    let folder = try TemporaryFolder()
    try Files.write(folder("list"), Array("1 2".utf8))
    for path in ["/onnx/bert-ts17-eager/dense.onnx", "/gguf/tiny-f16.gguf"] {
      #expect(throws: CompactionError.self) {
        try Model(at: golden + path).keeping(tokens: .tokens(file: folder("list")))
      }
    }
  }

  @Test("a mask of another length, and one with fractions")
  func masks() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: entry.model)
    for (count, value) in [(319, 1), (320, 2)] as [(Int, UInt8)] {
      try Tensors.write(
        [("vocab_mask", .u8, [count], Array(repeating: value, count: count))], to: folder("masks"))
      #expect(throws: CompactionError.self) { try model.keeping(tokens: .mask(file: folder("masks"))) }
    }
  }

  @Test("a vocab_mask is not passed over")
  func unheeded() throws {
    let folder = try TemporaryFolder()
    try Tensors.write([("vocab_mask", .u8, [320], [0] + Array(repeating: 1, count: 319))], to: folder("masks"))
    let model = try Model(at: entry.model)
    #expect(throws: CompactionError.self) { try model.plan(masks: .file(folder("masks")), pool: pool) }
  }

  @Test("a tokenizer that marks the ends of words is refused by name")
  func marks() throws {
    let folder = try TemporaryFolder()
    try Files.copy(entry.model, to: folder("model"))
    let path = folder("model/tokenizer.json")
    let json = try Files.json(path)
    let model = try #require(json["model"]).settingKey("end_of_word_suffix", to: "</w>")
    try Files.write(path, json.settingKey("model", to: model).serializedBytes(.compact))
    try Files.write(folder("list"), Array("1 2".utf8))
    #expect(throws: FormatError.self) {
      try Model(at: folder("model")).keeping(tokens: .tokens(file: folder("list")))
    }
  }

  @Test(
    "whatever is changed afterwards is found", arguments: ["merge", "row", "id", "receipt", "no receipt", "vocabulary"])
  func tampered(_ change: String) throws {
    let folder = try TemporaryFolder()
    let small = folder("small")
    try entry.compact(to: small, in: folder)
    switch change {
    case "merge":
      let json = try Files.json(small + "/tokenizer.json")
      let model = try #require(json["model"])
      let merges = try #require(model["merges"]?.arrayValue)
      try Files.write(
        small + "/tokenizer.json",
        json.settingKey("model", to: model.settingKey("merges", to: .array(Array(merges.dropFirst()))))
          .serializedBytes(.compact))
    case "row": try Tensors.flipBit(ofByte: 3, of: "transformer.wte.weight", in: small)
    case "id": try Files.set("eos_token_id", to: 5, in: small + "/config.json")
    case "vocabulary":
      let json = try Files.json(small + "/tokenizer.json")
      let model = try #require(json["model"])
      var vocabulary = try #require(model["vocab"]?.objectValue)
      let keys = vocabulary.keys
      vocabulary.set(keys[3], to: 4)
      vocabulary.set(keys[4], to: 3)
      try Files.write(
        small + "/tokenizer.json",
        json.settingKey("model", to: model.settingKey("vocab", to: .object(vocabulary))).serializedBytes(.compact))
    case "receipt":
      let receipt = try Files.json(small + "/compaction.json")
      let text = receipt.serialized(.compact)
      let tokens = try #require(receipt["vocabulary"]?["ranges"]?.arrayValue?.last)
      let last = try #require(tokens[1]?.intValue)
      let moved = text.split(separator: "\(last)]]").joined(separator: "\(last - 1)]]")
      try Files.write(small + "/compaction.json", Array(moved.utf8))
    default: try Directories.remove(small + "/compaction.json")
    }
    let isEqual = try? verify(original: entry.model, compacted: small, pool: pool).equal
    #expect(isEqual != true)
  }

  @Test("inputs of the original that hold a removed token are refused by name")
  func inputs() throws {
    let folder = try TemporaryFolder()
    let small = folder("small")
    try entry.compact(to: small, in: folder)
    let kept = try #require(try Model(at: small).receipt?.vocabulary?.tokens)
    let gone = try #require((0..<kept.before).first { kept.newIdentifier(of: $0) == nil })
    for (ids, works) in [([kept.identifiers[5], kept.identifiers[9]], true), ([kept.identifiers[5], gone], false)] {
      let bytes = ids.flatMap { id in (0..<8).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) } }
      try Tensors.write([("input_ids", .i64, [1, 2], bytes)], to: folder("inputs"))
      let options = VerificationOptions(inputs: folder("inputs"))
      if works {
        #expect(try verify(original: entry.model, compacted: small, options: options, pool: pool).equal)
      } else {
        #expect(throws: CompactionError.self) {
          try verify(original: entry.model, compacted: small, options: options, pool: pool)
        }
      }
    }
  }
}
