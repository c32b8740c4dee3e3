import CheckpointFormats
import Pollard
import PollardBase
import Testing

/// A folder for one test, removed with everything in it when the value goes away.
private final class Scratch {
  let path = "/tmp/pollard-honesty-\(UInt64.random(in: .min ... .max))"

  init() throws { try Directories.create(path) }
  deinit { try? Directories.remove(path) }

  func callAsFunction(_ name: String) -> String { Paths.join(path, name) }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    let file = try AtomicFile(path: self(name), replacing: true)
    try file.file.write(bytes)
    try file.commit()
  }

  /// Copies a golden checkpoint.
  func copy(_ name: String, as target: String) throws -> String {
    let source = Paths.join(golden, name)
    try Directories.create(self(target))
    for file in try Directories.names(in: source) {
      let content = try FileSource(path: Paths.join(source, file))
      try write(Paths.join(target, file), try content.bytes(0..<content.size))
    }
    return self(target)
  }

  /// Compacts a golden checkpoint without fill.
  func compact(_ name: String) throws -> String {
    let model = try Model(at: Paths.join(golden, name))
    try model.compact(model.plan(options: PlanOptions(shape: .ragged), pool: pool), to: self("small"), pool: pool)
    return self("small")
  }

  func edit(_ folder: String, _ change: (JSONValue) -> JSONValue) throws {
    let path = Paths.join(folder, "config.json")
    let config = try JSONValue(file: path)
    let file = try AtomicFile(path: path, replacing: true)
    try file.file.write(change(config).serializedBytes(.pretty))
    try file.commit()
  }

  /// A BERT of one head and one neuron per layer: nothing in it can be removed.
  func writeSmallest(layers: Int) throws -> String {
    var shapes: [(String, [Int])] = [
      ("embeddings.word_embeddings.weight", [5, 4]), ("embeddings.position_embeddings.weight", [8, 4]),
      ("embeddings.token_type_embeddings.weight", [2, 4]), ("embeddings.LayerNorm.weight", [4]),
      ("embeddings.LayerNorm.bias", [4]), ("pooler.dense.weight", [4, 4]), ("pooler.dense.bias", [4]),
    ]
    for layer in 0..<layers {
      let linear: [(String, [Int])] = [
        ("attention.self.query", [4, 4]), ("attention.self.key", [4, 4]), ("attention.self.value", [4, 4]),
        ("attention.output.dense", [4, 4]), ("intermediate.dense", [1, 4]), ("output.dense", [4, 1]),
      ]
      for (name, shape) in linear {
        shapes += [
          ("encoder.layer.\(layer).\(name).weight", shape), ("encoder.layer.\(layer).\(name).bias", [shape[0]]),
        ]
      }
      for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
        for part in ["weight", "bias"] { shapes.append(("encoder.layer.\(layer).\(name).\(part)", [4])) }
      }
    }
    var offset = 0
    var members: [(key: String, value: JSONValue)] = []
    for (name, shape) in shapes {
      let size = shape.reduce(4, *)
      members.append(
        (
          key: name,
          value: [
            "dtype": "F32", "shape": .array(shape.map { JSONValue($0) }),
            "data_offsets": [JSONValue(offset), JSONValue(offset + size)],
          ]
        ))
      offset += size
    }
    let header = JSONValue.object(JSONObject(members)).serializedBytes(.compact)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    try Directories.create(self("smallest"))
    try write("smallest/model.safetensors", length + header + [UInt8](repeating: 0x3d, count: offset))
    let config: JSONValue = [
      "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 4, "num_attention_heads": 1,
      "num_hidden_layers": JSONValue(layers), "intermediate_size": 1, "max_position_embeddings": 8, "vocab_size": 5,
      "type_vocab_size": 2, "hidden_act": "gelu",
    ]
    try write("smallest/config.json", config.serializedBytes(.pretty))
    return self("smallest")
  }
}

@Suite("What a verdict, a copy and a loader table must not claim")
struct ReviewHonestyTests {
  @Test(
    "Counts in the configuration that no tensor has are a difference",
    arguments: [
      ("bert-plain/masked", "intermediate_size", JSONValue(36)), ("bert-plain/masked", "pruned_heads", .null),
      ("llama-grouped/masked", "num_key_value_heads", JSONValue(2)), ("gpt2-lm/masked", "n_inner", JSONValue(80)),
    ])
  func configurationCounts(_ name: String, _ key: String, _ value: JSONValue) throws {
    let scratch = try Scratch()
    let original = Paths.join(golden, name)
    let small = try scratch.compact(name)
    #expect(try verify(original: original, compacted: small, pool: pool).equal)
    try scratch.edit(small) { $0.settingKey(key, to: value) }
    let verdict = try verify(original: original, compacted: small, pool: pool)
    #expect(!verdict.equal)
    #expect(verdict.firstDifference?.contains(key) == true)
  }

  @Test("Matrices that only the smaller model's configuration ties are a difference")
  func tie() throws {
    let scratch = try Scratch()
    let small = try scratch.compact("llama-grouped/masked")
    try scratch.edit(small) { $0.settingKey("tie_word_embeddings", to: true) }
    #expect(try !verify(original: Paths.join(golden, "llama-grouped/masked"), compacted: small, pool: pool).equal)
  }

  @Test("A run without a single valid position is no run")
  func emptyRun() throws {
    let scratch = try Scratch()
    let header = Array(#"{"input_ids":{"dtype":"I64","shape":[0,4],"data_offsets":[0,0]}}"#.utf8)
    try scratch.write("none.safetensors", [UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header)
    let model = Paths.join(golden, "llama-grouped/masked")
    let verdict = try verify(
      original: model, compacted: model, options: VerificationOptions(inputs: scratch("none.safetensors")), pool: pool)
    #expect(verdict.bitIdentical == nil)
    #expect(!verdict.equal)
  }

  @Test("A report replaces an earlier report and no other file")
  func report() throws {
    let scratch = try Scratch()
    let folder = try scratch.copy("bert-plain/masked", as: "model")
    let verdict = try verify(original: folder, compacted: folder, pool: pool)
    #expect(throws: FormatError.self) { try verdict.writeJUnit(to: Paths.join(folder, "model.safetensors")) }
    for _ in 0..<2 { try verdict.writeJUnit(to: scratch("report.xml")) }
  }

  @Test("More random tokens than can be counted are refused")
  func tooManyTokens() throws {
    let model = Paths.join(golden, "llama-grouped/masked")
    #expect(throws: GraphError.self) {
      try verify(original: model, compacted: model, options: VerificationOptions(batch: .max), pool: pool)
    }
  }

  @Test("A model in which nothing can be removed is compared and copied like any other")
  func nothingRemovable() throws {
    let scratch = try Scratch()
    let path = try scratch.writeSmallest(layers: 2)
    let model = try Model(at: path)
    #expect(try verify(original: path, compacted: path, pool: pool).equal)
    #expect(try model.compact(model.plan(pool: pool), to: scratch("copy"), pool: pool).isCopy)
  }

  @Test(
    "A copy or conversion of layers that differ keeps the record that tells their counts, and no stock loader is promised"
  )
  func raggedAgain() throws {
    let scratch = try Scratch()
    let small = try Model(at: scratch.compact("bert-plain/masked"))
    let report = try small.compact(
      small.plan(options: PlanOptions(shape: .ragged), pool: pool), to: scratch("copy"), pool: pool)
    #expect(report.isCopy)
    #expect(report.plan.loaders.first { $0.name == "transformers-4" }?.loads == false)
    try small.convert(to: scratch("half"), type: .bf16, pool: pool)
    for name in ["copy", "half"] { #expect(try Model(at: scratch(name)).layers == small.layers) }
  }

  @Test("An output inside the model's folder holds neither itself nor what is unfinished there")
  func outputInside() throws {
    let scratch = try Scratch()
    let folder = try scratch.copy("bert-plain/masked", as: "model")
    let model = try Model(at: folder)
    for _ in 0..<2 {
      try model.compact(
        model.plan(pool: pool), to: Paths.join(folder, "small"), options: WriteOptions(replacing: true), pool: pool)
    }
    let names = try Directories.names(in: Paths.join(folder, "small"))
    #expect(names == ["compaction.json", "config.json", "model.safetensors"])
  }
}
