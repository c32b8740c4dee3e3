import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Checkpoints of transformers 4 and 5 are read as models")
struct GoldenImportTests {
  @Test("the manifest lists every described architecture")
  func everyArchitecture() {
    let covered = Set(GoldenCase.all.map(\.modelType))
    // Seed-OSS is only written, as another class for Llama's function.
    #expect(covered == Set(ArchitectureRegistry.modelTypes).subtracting(["seed_oss"]))
  }

  @Test("graph, parameters and layers agree with the manifest", arguments: GoldenCase.all)
  func agreesWithManifest(_ entry: GoldenCase) throws {
    for path in [entry.path("dense"), entry.path("masked")].compactMap({ $0 }) {
      let model = try HuggingFaceFolder(at: path).model()
      try model.graph.validate()
      #expect(model.modelType == entry.modelType)
      #expect(model.className == entry.className)
      if let parameters = entry.entry["parameters"]?["before"]?.intValue { #expect(model.parameterCount == parameters) }
      #expect(try model.layers.count == entry.integer("layers"))
      for layer in model.layers {
        #expect(try layer.heads == entry.integer("heads"))
        #expect(try layer.keyValueHeads == entry.integer("key_value_heads"))
        #expect(try layer.headDim == entry.integer("head_dim"))
        // A decoder's attentions to the encoder are layers without neurons.
        let hasNeurons = layer.index < model.layers.count - entry.furtherBlockCount
        #expect(try layer.feedForward == (hasNeurons ? entry.integer("ffn") : 0))
      }
      #expect(Set(model.graph.taps.map(\.name)) == entry.hiddenStates)
      let outputs = Set(model.graph.outputs.map { model.graph[$0].name })
      if let expected = entry.entry["outputs"]?.arrayValue?.compactMap(\.stringValue), !expected.isEmpty {
        #expect(outputs == Set(expected.filter { !$0.contains("hidden_states.") }))
      }
      #expect(model.notes.isEmpty)
    }
  }

  @Test(
    "an unchanged model is exported as slices of whole tensors and the same config.json", arguments: GoldenCase.folders)
  func unchangedExport(_ path: String) throws {
    let folder = try HuggingFaceFolder(at: path)
    let model = try folder.model()
    let exported = try model.exported()
    let text = exported.config.serialized(.pretty, strings: .matching(folder.configBytes)) + "\n"
    #expect(Array(text.utf8) == folder.configBytes)
    let paired = Set(model.prunePairs.map(\.parameter))
    #expect(exported.tensors.count == folder.tensors.count - model.prunePairs.count)
    for (tensor, stored) in zip(exported.tensors, folder.tensors) where paired.isEmpty {
      #expect(tensor.name == stored.name)
      #expect(tensor.file == stored.file)
      let slice = try #require(tensor.weight.sourceSlice)
      let source = try #require(stored.weight.sourceSlice)
      #expect(
        slice.isWhole && slice.byteOffset == source.byteOffset && slice.type == source.type
          && slice.shape == source.shape)
    }
  }

  @Test(
    "the scope of each node in a layer leads to the layer's number",
    arguments: [
      "bert-plain", "distilbert-plain", "gpt2-lm", "llama-grouped", "gemma2", "phi3", "stablelm-head-norms-5",
    ])
  func scopes(_ name: String) throws {
    let model = try dense(name)
    var numbers: Set<Int> = []
    for node in model.graph.nodes {
      let parts = node.scope.split(separator: ".").map(String.init)
      guard let place = parts.firstIndex(where: { ["layer", "layers", "h"].contains($0) }) else { continue }
      numbers.insert(try #require(Int(parts[place + 1])))
    }
    #expect(numbers == Set(model.layers.indices))
  }

  @Test("tied and untied output matrices of the same file count differently")
  func tiedParameters() throws {
    let model = try dense("llama-tied")
    let embedding = try #require(model.bindings.first { $0.tensor == "model.embed_tokens.weight" })
    #expect(embedding.tiedInitializers == ["model.embed_tokens.weight (transposed)"])
    #expect(!model.bindings.contains { $0.tensor == "lm_head.weight" })
  }

  @Test("old norm names, buffers and prefixes of the other class are understood")
  func oldSpellings() throws {
    let legacy = try dense("bert-legacy-names")
    #expect(legacy.passedThrough.map(\.name) == ["embeddings.position_ids"])
    #expect(legacy.passedThrough.first?.reason == .buffer)
    #expect(legacy.bindings.contains { $0.tensor == "embeddings.LayerNorm.gamma" })
    #expect(try dense("bert-prefixed-base").bindings.contains { $0.tensor == "bert.pooler.dense.weight" })
  }

  @Test("pairs of weights and masks become the parameter they stand for")
  func prunePairs() throws {
    let folder = try HuggingFaceFolder(at: Paths.join(golden, "bert-prune-pairs/masked"))
    let model = try folder.model()
    #expect(!model.prunePairs.isEmpty)
    let exported = try model.exported()
    for pair in model.prunePairs {
      #expect(!exported.tensors.contains { $0.name == pair.original || $0.name == pair.mask })
      let plain = try #require(exported.tensors.first { $0.name == pair.parameter }).weight.floats()
      let original = try #require(folder.tensors.first { $0.name == pair.original }).weight.floats()
      let mask = try #require(folder.tensors.first { $0.name == pair.mask }).weight.floats()
      #expect(plain == zip(original, mask).map { $0 * $1 })
    }
  }
}
