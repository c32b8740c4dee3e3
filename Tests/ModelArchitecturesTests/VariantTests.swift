import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

@Suite("Variants of a family are told apart")
struct VariantTests {
  /// A golden model with another configuration.
  private func imported(
    _ name: String, _ change: (JSONValue) -> JSONValue
  ) throws -> ImportedModel {
    let folder = try HuggingFaceFolder(at: Paths.join(golden, "\(name)/dense"))
    return try ImportedModel(config: change(folder.config), tensors: folder.tensors)
  }

  @Test(
    "a configuration without a class gets the head that the tensors show",
    arguments: [
      ("bert-plain", "BertModel"), ("bert-masked-lm", "BertForMaskedLM"),
      ("bert-sequence-classification", "BertForSequenceClassification"),
      ("bert-token-classification", "BertForTokenClassification"),
      ("bert-question-answering", "BertForQuestionAnswering"), ("roberta-masked-lm-5", "RobertaForMaskedLM"),
      ("roberta-sequence-classification", "RobertaForSequenceClassification"),
      ("distilbert-masked-lm-5", "DistilBertForMaskedLM"),
      ("distilbert-sequence-classification", "DistilBertForSequenceClassification"),
      ("llama-base", "LlamaModel"), ("llama-grouped", "LlamaForCausalLM"), ("gpt2-plain", "GPT2Model"),
      ("phi3-longrope", "Phi3ForCausalLM"), ("gemma3", "Gemma3TextModel"),
    ])
  func inferredClass(_ name: String, _ className: String) throws {
    #expect(try imported(name) { $0.removingKey("architectures") }.className == className)
    #expect(try imported(name) { $0.settingKey("architectures", to: []) }.className == className)
  }

  @Test("the base class passes the parameters of a head through, and counts them")
  func unusedHead() throws {
    let model = try imported("bert-masked-lm") { $0.settingKey("architectures", to: ["BertModel"]) }
    #expect(model.graph.outputs.map { model.graph[$0].name } == ["last_hidden_state"])
    #expect(model.passedThrough.count == 5)
    #expect(model.passedThrough.allSatisfy { $0.reason == .unused && $0.name.hasPrefix("cls.predictions.") })
    #expect(try model.parameterCount == dense("bert-masked-lm").parameterCount)
    #expect(try model.exported().tensors.count == model.bindings.count + 5)
  }

  @Test(
    "decoders and relative positions of BERT are refused",
    arguments: [
      ("is_decoder", JSONValue.bool(true)), ("add_cross_attention", true), ("position_embedding_type", "relative_key"),
    ])
  func refusedVariants(_ key: String, _ value: JSONValue) throws {
    let error = #expect(throws: FormatError.self) { try imported("bert-plain") { $0.settingKey(key, to: value) } }
    #expect(error?.code == .unsupportedConfiguration)
    #expect(error?.description.contains(key) == true)
  }

  /// Qwen3 with two layers.
  private func qwen3(_ types: JSONValue, window: JSONValue = 3) -> SmallModel {
    var shapes: [(String, [Int])] = [("model.embed_tokens.weight", [5, 8]), ("model.norm.weight", [8])]
    for layer in 0..<2 {
      let name = "model.layers.\(layer)"
      shapes += [
        ("\(name).input_layernorm.weight", [8]), ("\(name).post_attention_layernorm.weight", [8]),
        ("\(name).self_attn.q_norm.weight", [4]), ("\(name).self_attn.k_norm.weight", [4]),
        ("\(name).self_attn.q_proj.weight", [8, 8]), ("\(name).self_attn.k_proj.weight", [8, 8]),
        ("\(name).self_attn.v_proj.weight", [8, 8]), ("\(name).self_attn.o_proj.weight", [8, 8]),
        ("\(name).mlp.gate_proj.weight", [6, 8]), ("\(name).mlp.up_proj.weight", [6, 8]),
        ("\(name).mlp.down_proj.weight", [8, 6]),
      ]
    }
    return SmallModel(
      config: [
        "architectures": ["Qwen3Model"], "head_dim": 4, "hidden_size": 8, "intermediate_size": 6,
        "model_type": "qwen3", "num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "use_sliding_window": true, "sliding_window": window, "layer_types": types, "max_window_layers": 1,
        "vocab_size": 5,
      ], shapes: shapes)
  }

  @Test("layers that slide are those of layer_types, or those from max_window_layers on")
  func slidingLayers() throws {
    for (types, slides) in [
      (["full_attention", "sliding_attention"], [false, true]),
      (["sliding_attention", "full_attention"], [true, false]),
      (["full_attention", "full_attention"], [false, false]), (nil, [false, true]),
    ] as [(JSONValue, [Bool])] {
      let graph = try qwen3(types).imported().graph
      let masks = graph.nodes.filter { $0.op.name == "Attention" }.compactMap { $0.input(3) }
      let windowed = graph.nodes.filter { $0.op.name == "And" }.compactMap { $0.outputs[0] }
      #expect(masks.map(windowed.contains) == slides)
    }
  }

  @Test("a layer list that does not fit is refused")
  func unfitLayerTypes() {
    for model in [
      qwen3(["full_attention"]), qwen3(["full_attention", "chunked_attention"]),
      qwen3(["full_attention", "sliding_attention"], window: nil),
    ] {
      #expect(model.failure()?.description.contains("layer_types") == true)
    }
  }

  @Test("an adapter and a folder without config.json are refused by name")
  func folders() throws {
    var template = Array("/tmp/pollard-XXXXXX".utf8CString)
    let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
    defer {
      for name in ["model.safetensors", "adapter_config.json"] { unlink(Paths.join(folder, name)) }
      rmdir(folder)
    }
    #expect(
      symlink(Paths.join(golden, "bert-plain/dense/model.safetensors"), Paths.join(folder, "model.safetensors")) == 0)
    let bare = #expect(throws: FormatError.self) { try HuggingFaceFolder(at: folder) }
    #expect(bare?.code == .missingConfiguration)
    #expect(symlink("/dev/null", Paths.join(folder, "adapter_config.json")) == 0)
    let adapter = #expect(throws: FormatError.self) { try HuggingFaceFolder(at: folder) }
    #expect(adapter?.code == .adapterCheckpoint)
  }
}
