import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// Cuts heads and neurons out of a model's initializers by hand, as compaction does by rule.
struct HandCut {
  var graph: Graph
  var layers: [LayerSummary]
  var keptHeads: [[Int]]
  let model: ImportedModel

  init(_ model: ImportedModel) {
    self.model = model
    graph = model.graph
    layers = model.layers
    keptHeads = model.layers.map { Array(0..<$0.heads) }
  }

  /// Keeps indices along an axis of a stored tensor.
  mutating func keep(_ tensor: String, _ indices: [Int], axis: Int) throws {
    let binding = try #require(model.bindings.first { $0.tensor == tensor })
    let weight = try #require(graph[binding.value].initializer)
    let here = binding.isTransposed ? 1 - axis : axis
    graph[binding.value].initializer = weight.keeping(indices, axis: here)
  }

  /// Keeps heads of a BERT layer.
  mutating func keepBertHeads(_ layer: Int, _ heads: [Int]) throws {
    let width = layers[layer].headDim
    let rows = heads.flatMap { $0 * width..<($0 + 1) * width }
    for part in ["query", "key", "value"] {
      try keep("encoder.layer.\(layer).attention.self.\(part).weight", rows, axis: 0)
      try keep("encoder.layer.\(layer).attention.self.\(part).bias", rows, axis: 0)
    }
    try keep("encoder.layer.\(layer).attention.output.dense.weight", rows, axis: 1)
    layers[layer].heads = heads.count
    layers[layer].keyValueHeads = heads.count
    keptHeads[layer] = heads
  }

  func exported(carrier: String? = nil) throws(FormatError) -> ExportedModel {
    try model.exported(graph: graph, layers: layers, keptHeads: keptHeads, carrier: carrier)
  }
}

extension ExportedModel {
  func reimported(ragged: Bool = false) throws(FormatError) -> ImportedModel {
    try ImportedModel(
      config: config, tensors: tensors.map { NamedTensor(name: $0.name, weight: $0.weight) }, allowingRagged: ragged)
  }

  /// The keys whose values differ from another configuration's.
  func changedKeys(_ other: JSONValue) -> Set<String> {
    let keys = Set((config.objectValue?.keys ?? []) + (other.objectValue?.keys ?? []))
    return keys.filter { config[$0] != other[$0] }
  }
}

@Suite("Changed models are written back")
struct ExportTests {
  @Test("heads cut from BERT become pruned_heads, tensors stay slices, and the result is read again")
  func bertHeads() throws {
    let model = try dense("bert-plain")
    var cut = HandCut(model)
    try cut.keepBertHeads(0, [0, 2])
    try cut.keepBertHeads(2, [1])
    let exported = try cut.exported()
    #expect(exported.changedKeys(model.config) == ["pruned_heads"])
    #expect(exported.config["pruned_heads"] == ["0": [1], "2": [0, 2]])
    let query = try #require(exported.tensors.first { $0.name == "encoder.layer.2.attention.self.query.weight" })
    #expect(query.weight.sourceSlice?.kept == [Array(8..<16), nil])
    let output = try #require(exported.tensors.first { $0.name == "encoder.layer.2.attention.output.dense.weight" })
    #expect(output.weight.sourceSlice?.kept == [nil, Array(8..<16)])

    let again = try exported.reimported()
    #expect(again.layers.map(\.heads) == [2, 3, 1])
    #expect(again.originalHeads == [[0, 2], [0, 1, 2], [1]])
    var further = HandCut(again)
    try further.keepBertHeads(0, [1])
    let twice = try further.exported()
    #expect(twice.config["pruned_heads"] == ["0": [0, 1], "2": [0, 2]])
    #expect(try twice.reimported().layers.map(\.heads) == [1, 3, 1])
    #expect(again.loaderRules.rows.first { $0.loader == "transformers-5" }?.opens == false)
  }

  @Test("a BERT layer without heads cannot be written")
  func noHeads() throws {
    var cut = HandCut(try dense("bert-plain"))
    try cut.keepBertHeads(1, [])
    let error = #expect(throws: FormatError.self) { try cut.exported() }
    #expect(error?.code == .cannotExpress)
    #expect(error?.description.contains("layer 1") == true)
  }

  @Test("differing feed-forward widths keep the largest in the configuration and are read from the tensors")
  func raggedFeedForward() throws {
    let model = try dense("bert-plain")
    var cut = HandCut(model)
    for (layer, width) in [(0, 5), (1, 9), (2, 9)] {
      try cut.keep("encoder.layer.\(layer).intermediate.dense.weight", Array(0..<width), axis: 0)
      try cut.keep("encoder.layer.\(layer).intermediate.dense.bias", Array(0..<width), axis: 0)
      try cut.keep("encoder.layer.\(layer).output.dense.weight", Array(0..<width), axis: 1)
      cut.layers[layer].feedForward = width
    }
    let exported = try cut.exported()
    #expect(exported.changedKeys(model.config) == ["intermediate_size"])
    #expect(exported.config["intermediate_size"] == 9)
    let error = #expect(throws: FormatError.self) { try exported.reimported() }
    #expect(error?.code == .wrongShape)
    #expect(try exported.reimported(ragged: true).layers.map(\.feedForward) == [5, 9, 9])
  }

  /// Removes key/value group 0 of every layer from Llama-like models.
  private func withoutFirstGroup(_ model: ImportedModel) throws -> HandCut {
    var cut = HandCut(model)
    for layer in model.layers {
      let ratio = layer.heads / layer.keyValueHeads
      let rows = Array(ratio * layer.headDim..<layer.heads * layer.headDim)
      let groupRows = Array(layer.headDim..<layer.keyValueHeads * layer.headDim)
      let name = "model.layers.\(layer.index).self_attn"
      for (part, kept) in [("q_proj", rows), ("k_proj", groupRows), ("v_proj", groupRows)] {
        try cut.keep("\(name).\(part).weight", kept, axis: 0)
        if model.bindings.contains(where: { $0.tensor == "\(name).\(part).bias" }) {
          try cut.keep("\(name).\(part).bias", kept, axis: 0)
        }
      }
      try cut.keep("\(name).o_proj.weight", rows, axis: 1)
      cut.layers[layer.index].heads = layer.heads - ratio
      cut.layers[layer.index].keyValueHeads = layer.keyValueHeads - 1
      cut.keptHeads[layer.index] = Array(ratio..<layer.heads)
    }
    return cut
  }

  @Test(
    "groups cut from Llama-like models become counts with an explicit head_dim",
    arguments: ["llama-grouped", "llama-grouped-5", "mistral-window", "qwen2", "qwen2-5", "qwen3", "qwen3-5"])
  func groups(_ name: String) throws {
    let model = try dense(name)
    let exported = try withoutFirstGroup(model).exported()
    let before = try #require(model.layers.first)
    let ratio = before.heads / before.keyValueHeads
    #expect(exported.config["num_attention_heads"]?.intValue == before.heads - ratio)
    #expect(exported.config["num_key_value_heads"]?.intValue == before.keyValueHeads - 1)
    #expect(exported.config["head_dim"]?.intValue == before.headDim)
    #expect(
      exported.changedKeys(model.config).subtracting(["num_attention_heads", "num_key_value_heads", "head_dim"]).isEmpty
    )
    let keys = try #require(exported.config.objectValue).keys
    #expect(keys == keys.sorted(), "a new key goes to its place")
    for tensor in exported.tensors { #expect(tensor.weight.sourceSlice != nil, "\(tensor.name)") }
    let again = try exported.reimported()
    #expect(again.layers.map(\.heads) == model.layers.map { $0.heads - ratio })
  }

  @Test("Llama is written as Mistral, which computes the same")
  func mistralCarrier() throws {
    let model = try dense("llama-grouped")
    let exported = try withoutFirstGroup(model).exported(carrier: "mistral")
    #expect(exported.config["model_type"] == "mistral")
    #expect(exported.config["architectures"] == ["MistralForCausalLM"])
    #expect(exported.config["sliding_window"] == JSONValue.null)
    let again = try exported.reimported()
    #expect(again.className == "MistralForCausalLM")
    #expect(again.graph.nodes.map(\.op) == model.graph.nodes.map(\.op))
  }

  @Test(
    "Llama and Qwen2 are written as Seed-OSS with every bias switch explicit",
    arguments: ["llama-grouped", "llama-biases-5", "qwen2"])
  func seedCarrier(_ name: String) throws {
    let model = try dense(name)
    let exported = try HandCut(model).exported(carrier: "seed_oss")
    #expect(exported.config["model_type"] == "seed_oss")
    for key in ["attention_bias", "attention_out_bias", "mlp_bias"] { #expect(exported.config[key]?.boolValue != nil) }
    let again = try exported.reimported()
    #expect(again.className == "SeedOssForCausalLM")
    #expect(again.graph.nodes.map(\.op) == model.graph.nodes.map(\.op))
  }

  @Test(
    "a class that cannot hold the function is no carrier",
    arguments: [("llama-biases-5", "mistral"), ("bert-plain", "mistral"), ("qwen3", "seed_oss")])
  func wrongCarrier(_ name: String, _ carrier: String) throws {
    let cut = HandCut(try dense(name))
    let error = #expect(throws: FormatError.self) { try cut.exported(carrier: carrier) }
    #expect(error?.code == .cannotExpress)
  }

  @Test("the neurons of GPT-2 are counted in n_inner, which may have been null")
  func gpt2() throws {
    let model = try dense("gpt2-lm-5")
    #expect(model.config["n_inner"] == JSONValue.null)
    var cut = HandCut(model)
    for layer in model.layers {
      let name = "transformer.h.\(layer.index).mlp"
      try cut.keep("\(name).c_fc.weight", [0, 3, 4], axis: 1)
      try cut.keep("\(name).c_fc.bias", [0, 3, 4], axis: 0)
      try cut.keep("\(name).c_proj.weight", [0, 3, 4], axis: 0)
      cut.layers[layer.index].feedForward = 3
    }
    let exported = try cut.exported()
    #expect(exported.changedKeys(model.config) == ["n_inner"])
    #expect(try exported.reimported().layers.allSatisfy { $0.feedForward == 3 })
  }
}

@Suite("Loader rules say what stock loaders hold")
struct LoaderRuleTests {
  private func rule(_ name: String, _ loader: String, carrier: String? = nil) throws -> LoaderRule {
    try #require(dense(name).loaderRules.rows.first { $0.loader == loader && $0.carrier == carrier })
  }

  @Test(
    "every model has a row for every loader",
    arguments: ["bert-plain", "distilbert-plain", "gpt2-lm", "llama-grouped", "mistral-window", "qwen2", "qwen3"])
  func everyLoader(_ name: String) throws {
    let loaders = Set(try dense(name).loaderRules.rows.map(\.loader))
    #expect(loaders == ["transformers-4", "transformers-5", "llama.cpp", "onnxruntime", "vllm"])
  }

  @Test("pruned heads are for transformers 4")
  func prunedHeads() throws {
    for name in ["bert-plain", "distilbert-plain", "gpt2-lm", "roberta-plain"] {
      #expect(try rule(name, "transformers-4").heads == .perLayer)
      #expect(try rule(name, "transformers-4").feedForward == .uniform)
      #expect(try rule(name, "transformers-5").heads == .fixed)
    }
  }

  @Test("Llama in transformers 5 divides the hidden size, its carriers do not")
  func llama() throws {
    #expect(try rule("llama-grouped", "transformers-4").heads == .uniform)
    #expect(try rule("llama-grouped", "transformers-5").heads == .uniformDividing(48))
    #expect(try rule("llama-grouped", "transformers-5", carrier: "mistral").heads == .uniform)
    #expect(try rule("llama-biases-5", "transformers-5", carrier: "seed_oss").heads == .uniform)
    #expect(try dense("llama-biases-5").loaderRules.rows.allSatisfy { $0.carrier != "mistral" })
    #expect(try rule("qwen3", "transformers-5").heads == .uniform)
  }

  @Test("transformers 4 does not open angles that only transformers 5 can spell")
  func newerAngles() throws {
    #expect(try rule("llama-grouped-5", "transformers-4").opens == true)
    #expect(try rule("llama-rope-yarn-5", "transformers-4").opens == false)
    #expect(try rule("llama-rope-yarn-5", "transformers-4").remark.contains("rope_parameters"))
    #expect(try rule("llama-rope-yarn", "transformers-4").opens == true)
  }

  @Test("other formats are named")
  func otherFormats() throws {
    #expect(try rule("bert-plain", "llama.cpp").opens == false)
    #expect(try rule("bert-plain", "onnxruntime").opens == false)
    #expect(try rule("bert-plain", "vllm").opens == nil)
  }
}
