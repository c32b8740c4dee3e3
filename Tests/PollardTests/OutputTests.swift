import CheckpointFormats
import Pollard
import PollardBase
import Testing

@Suite("What is written, and what is left alone")
struct OutputTests {
  @Test(
    "the same input gives the same bytes twice",
    arguments: ["bert-plain", "llama-sharded", "bert-prune-pairs", "gpt2-lm"])
  func deterministic(_ name: String) throws {
    let folder = try TemporaryFolder()
    let scenario = Scenario(golden: try GoldenCase.named(name), origin: .zeros)
    for output in ["a", "b"] { _ = try scenario.compact(to: folder(output), options: PlanOptions()) }
    #expect(try Files.contents(of: folder("a")) == Files.contents(of: folder("b")))
  }

  @Test("names, types and tensors without removable axes are the input's", arguments: Scenario.compacting)
  func kept(_ scenario: Scenario) throws {
    guard try Model(at: scenario.original).stored.storesParametersPlainly else { return }
    let folder = try TemporaryFolder()
    _ = try scenario.compact(to: folder("out"))
    // Norms that heads have for themselves go with them, and the others are numbered anew.
    func others(_ tensors: [String: StoredTensor]) -> [String: StoredTensor] {
      tensors.filter { !$0.key.contains("_layernorm.norms.") }
    }
    let before = others(try Tensors.stored(scenario.original))
    let after = others(try Tensors.stored(folder("out")))
    #expect(before.keys.sorted() == after.keys.sorted())
    for (name, tensor) in before {
      let other = try #require(after[name])
      #expect(tensor.type == other.type && tensor.file == other.file, "\(name)")
      #expect(zip(tensor.shape, other.shape).allSatisfy { $0 >= $1 }, "\(name)")
      if name.contains("mbedding") || name.contains("norm") || name.contains("Norm") || name.hasPrefix("lm_head") {
        #expect(tensor == other, "\(name)")
      }
    }
  }

  @Test(
    "nothing to remove: weights byte for byte, no receipt, and the report says so",
    arguments: ["bert-nothing", "bert-nan-void", "bert-qk-zero"])
  func faithfulCopy(_ name: String) throws {
    let golden = try GoldenCase.named(name)
    let scenario = Scenario(golden: golden, origin: golden.path("masks") == nil ? .zeros : .masks)
    let folder = try TemporaryFolder()
    let report = try scenario.compact(to: folder("out"))
    #expect(report.isCopy)
    #expect(report.text.contains("a faithful copy"))
    #expect(try Files.contents(of: scenario.original) == Files.contents(of: folder("out")))
  }

  @Test("sharding is kept: the same files, each with the tensors it had")
  func sharded() throws {
    let folder = try TemporaryFolder()
    let (scenario, output) = try compacted("llama-sharded", .masks, in: folder)
    let (before, after) = (try Checkpoint(at: scenario.original), try Checkpoint(at: output))
    #expect(before.fileNames == after.fileNames)
    #expect(before.fileNames.count == 4)
    let index = try Files.json(Paths.join(output, "model.safetensors.index.json"))
    #expect(index["metadata"]?["total_size"]?.intValue == after.dataSize)
    #expect(index["metadata"]?["total_parameters"]?.intValue == after.tensors.reduce(0) { $0 + $1.shape.elementCount })
    #expect(index["weight_map"]?.objectValue?.count == after.tensors.count)
  }

  @Test("--max-shard-size splits anew, and the index agrees", arguments: ["bert-masked-lm", "llama-sharded"])
  func resharded(_ name: String) throws {
    let folder = try TemporaryFolder()
    let scenario = Scenario(golden: try GoldenCase.named(name), origin: .masks)
    _ = try scenario.compact(to: folder("out"), writing: WriteOptions(maxShardSize: ShardSize("14KB")))
    let checkpoint = try Checkpoint(at: folder("out"))
    #expect(checkpoint.fileNames.count > 2)
    for (number, file) in checkpoint.files.enumerated() {
      let sizes = checkpoint.tensors.filter { $0.file == number }.map(\.byteRange.count)
      #expect(sizes.count == 1 || sizes.reduce(0, +) <= 14_000, "\(file.source.path)")
      #expect(file.metadata?["format"] == "pt")
      let text = "\(number + 1)"
      #expect(
        checkpoint.fileNames[number].hasPrefix("model-" + String(repeating: "0", count: 5 - text.count) + text + "-of-")
      )
    }
    let index = try Files.json(folder("out/model.safetensors.index.json"))
    #expect(index["metadata"]?["total_size"]?.intValue == checkpoint.dataSize)
    #expect(try scenario.verify(folder("out"), options: VerificationOptions(batch: 1, length: 3)).equal)
  }

  @Test("--max-shard-size above everything gives one file and no index")
  func gathered() throws {
    let folder = try TemporaryFolder()
    let scenario = Scenario(golden: try GoldenCase.named("llama-sharded"), origin: .masks)
    _ = try scenario.compact(to: folder("out"), writing: WriteOptions(maxShardSize: ShardSize("5GB")))
    #expect(try Directories.names(in: folder("out")).filter { $0.contains("safetensors") } == ["model.safetensors"])
  }

  @Test("tied tensors stay as the input stores them: once, or under both names")
  func tied() throws {
    let folder = try TemporaryFolder()
    let source = try folder.copy(golden + "/llama-tied/masked", as: "in")
    _ = try Model(at: source).compact(Model(at: source).plan(pool: pool), to: folder("once"), pool: pool)
    #expect(try Tensors.stored(folder("once"))["lm_head.weight"] == nil)

    let checkpoint = try Checkpoint(at: source)
    var tensors = try checkpoint.tensors.map {
      (name: $0.name, type: $0.type, shape: $0.shape.extents, bytes: try checkpoint.weight($0).bytes())
    }
    let embedding = try #require(tensors.first { $0.name == "model.embed_tokens.weight" })
    tensors.append(("lm_head.weight", embedding.type, embedding.shape, embedding.bytes))
    try Tensors.write(tensors, to: folder("in/model.safetensors"))
    let model = try Model(at: source)
    #expect(try model.parameterCount == Model(at: golden + "/llama-tied/masked").parameterCount)
    _ = try model.compact(model.plan(pool: pool), to: folder("twice"), pool: pool)
    let stored = try Tensors.stored(folder("twice"))
    #expect(stored["lm_head.weight"]?.bytes == embedding.bytes)
    #expect(stored["model.embed_tokens.weight"]?.bytes == embedding.bytes)
    #expect(
      try verify(
        original: source, compacted: folder("twice"), options: VerificationOptions(batch: 1, length: 3), pool: pool
      ).equal)
  }

  @Test("other files and folders are copied, other weight formats are left and named")
  func rest() throws {
    let folder = try TemporaryFolder()
    let source = try folder.copy(golden + "/bert-plain/masked", as: "in")
    try folder.write("in/tokenizer.json", "{\"a\":  1}")
    try folder.write("in/1_Pooling/config.json", "{}")
    try folder.write("in/pytorch_model.bin", "weights")
    try folder.write("in/onnx/model.onnx", "weights")
    try folder.write("in/README.md", "text\r\n")
    let model = try Model(at: source)
    let report = try model.compact(model.plan(pool: pool), to: folder("out"), pool: pool)
    #expect(report.leftBehind.sorted() == ["onnx/model.onnx", "pytorch_model.bin"])
    #expect(report.text.contains("not carried over: pytorch_model.bin"))
    for name in ["tokenizer.json", "1_Pooling/config.json", "README.md"] {
      #expect(try Files.bytes(folder("in/" + name)) == Files.bytes(folder("out/" + name)))
    }
    #expect(Directories.kind(of: folder("out/pytorch_model.bin")) == nil)
    #expect(Directories.kind(of: folder("out/onnx/model.onnx")) == nil)
  }

  @Test("strings under __metadata__ are carried, and the format is named")
  func metadata() throws {
    let folder = try TemporaryFolder()
    let source = try folder.copy(golden + "/bert-plain/masked", as: "in")
    let checkpoint = try Checkpoint(at: source)
    let layout = try SafetensorsLayout(checkpoint.tensors.map(\.record.declaration), metadata: ["training": "run 7"])
    var bytes = layout.header
    for record in layout.tensors { bytes += try checkpoint.weight(#require(checkpoint[record.name])).bytes() }
    try Files.write(folder("in/model.safetensors"), bytes)
    let model = try Model(at: source)
    _ = try model.compact(model.plan(pool: pool), to: folder("out"), pool: pool)
    let metadata = try Checkpoint(at: folder("out")).metadata
    #expect(metadata?["training"] == "run 7")
    #expect(metadata?["format"] == "pt")
  }
}

@Suite("Where the output may go")
struct DestinationTests {
  private func compact(_ source: String, to output: String, replacing: Bool = false) throws {
    let model = try Model(at: source)
    _ = try model.compact(model.plan(pool: pool), to: output, options: WriteOptions(replacing: replacing), pool: pool)
  }

  @Test("an output that exists is refused and untouched, and replaced as a whole with --force if it is a model's")
  func exists() throws {
    let folder = try TemporaryFolder()
    let source = golden + "/bert-plain/masked"
    try folder.write("out/mine.txt", "mine")
    #expect(codeThrown { try compact(source, to: folder("out")) } == "outputExists")
    #expect(try Files.contents(of: folder.path).keys.sorted() == ["out/mine.txt"])
    #expect(codeThrown { try compact(source, to: folder("out"), replacing: true) } == "outputExists")
    try folder.write("out/config.json", "{}")
    try compact(source, to: folder("out"), replacing: true)
    #expect(
      try Directories.names(in: folder("out")).sorted() == ["compaction.json", "config.json", "model.safetensors"])
    #expect(try folder.names == ["out"])
  }

  @Test("the input itself and a place around it are refused, with --force too", arguments: [false, true])
  func input(_ replacing: Bool) throws {
    let folder = try TemporaryFolder()
    let source = try folder.copy(golden + "/bert-plain/masked", as: "around/in")
    let before = try Files.contents(of: folder.path)
    for output in ["around/in", "around", "around/../around/in/"] {
      #expect(
        codeThrown { try compact(source, to: folder(output), replacing: replacing) } == "outputIsInput", "\(output)")
    }
    #expect(try Files.contents(of: folder.path) == before)
  }

  @Test("an output inside the input does not hold itself, also the second time")
  func inside() throws {
    let folder = try TemporaryFolder()
    let source = try folder.copy(golden + "/bert-plain/masked", as: "in")
    try compact(source, to: folder("in/out"))
    let first = try Files.contents(of: folder("in/out"))
    #expect(first.keys.sorted() == ["compaction.json", "config.json", "model.safetensors"])
    try compact(source, to: folder("in/out"), replacing: true)
    #expect(try Files.contents(of: folder("in/out")) == first)
    #expect(try Directories.names(in: source).sorted() == ["config.json", "model.safetensors", "out"])
  }

  @Test("a result that does not verify is not published")
  func verifying() throws {
    let folder = try TemporaryFolder()
    let scenario = Scenario(golden: try GoldenCase.named("bert-plain"), origin: .masks)
    let model = try Model(at: scenario.original)
    let plan = try model.plan(masks: scenario.maskSource, pool: pool)
    // The masks are not handed to the verifier, so that it cannot find the removals declared.
    let report = try model.compact(plan, to: folder("out"), options: WriteOptions(verifies: true), pool: pool)
    #expect(report.verification?.equal == false)
    #expect(report.output == nil)
    #expect(try folder.names.isEmpty)
    let other = try model.compact(
      plan, to: folder("out"), options: WriteOptions(verifies: true), pool: pool, masks: scenario.maskSource)
    #expect(other.verification?.equal == true)
    #expect(try folder.names == ["out"])
  }
}
