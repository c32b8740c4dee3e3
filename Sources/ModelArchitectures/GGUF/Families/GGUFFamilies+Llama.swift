import CheckpointFormats
import PollardBase

extension GGUFMetadataRow {
  /// The keys that most decoders have, in the reference converter's order.
  ///
  /// - Parameters:
  ///   - places: `max_position_embeddings` of the class.
  ///   - epsilon: `rms_norm_eps` of the class.
  ///   - headDim: how `key_length` and `value_length` are told.
  static func decoder(places: Int, epsilon: Double, keyValueHeads: Int? = nil, headDim: HeadDim) -> [GGUFMetadataRow] {
    [
      .count("block_count", "num_hidden_layers", required: true),
      .count("context_length", "max_position_embeddings", default: places, required: true),
      .count("embedding_length", "hidden_size", required: true),
      .feedForward("intermediate_size"), .heads("num_attention_heads"), .keyValueHeads("num_key_value_heads"),
      .entries("rope.scaling") { writing throws(FormatError) in try GGUFRotary.scalingEntries(writing) },
      .computed("rope.freq_base", .number) { writing throws(FormatError) in
        try GGUFRotary.base(writing, default: 10_000)
      },
      .number("attention.layer_norm_rms_epsilon", "rms_norm_eps", default: epsilon, required: true),
    ] + headDim.rows + [.fileType]
  }

  /// How a family tells the width of its heads.
  enum HeadDim: Sendable {
    /// Always, because the class computes the number where the configuration has none.
    case always
    /// A number of the class's own where the configuration has none.
    case constant(Int)
    /// Only where the configuration has one.
    case ifGiven

    var rows: [GGUFMetadataRow] {
      ["attention.key_length", "attention.value_length"].map { key in
        .computed(key, .count) { writing throws(FormatError) in
          if let given = writing.config["head_dim"], !given.isNull { return given }
          switch self {
          case .always: return JSONValue(writing.headDim)
          case .constant(let value): return JSONValue(value)
          case .ifGiven: return writing.hasOtherHeadDim ? JSONValue(writing.headDim) : nil
          }
        }
      }
    }
  }
}

extension GGUFFamilies {
  /// The tensors of a Llama-shaped layer.
  ///
  /// - Parameters:
  ///   - turned: whether query and key rows are in the order of rotated pairs.
  ///   - headNorms: whether queries and keys have norms.
  static func llamaRows(
    turned: Bool, bias: GGUFTensorRow.Presence = .optional, headNorms: Bool = false
  ) -> [GGUFTensorRow] {
    let queries: GGUFTransform = turned ? .rotaryQueries : .same
    let keys: GGUFTransform = turned ? .rotaryKeys : .same
    var rows = [
      GGUFTensorRow("attn_norm", "input_layernorm"),
      GGUFTensorRow("attn_q", "self_attn.q_proj", queries, bias: bias),
      GGUFTensorRow("attn_k", "self_attn.k_proj", keys, bias: bias),
      GGUFTensorRow("attn_v", "self_attn.v_proj", bias: bias),
      GGUFTensorRow("attn_output", "self_attn.o_proj", bias: bias),
      GGUFTensorRow("ffn_norm", "post_attention_layernorm"), GGUFTensorRow("ffn_gate", "mlp.gate_proj", bias: bias),
      GGUFTensorRow("ffn_up", "mlp.up_proj", bias: bias), GGUFTensorRow("ffn_down", "mlp.down_proj", bias: bias),
      GGUFTensorRow.joined(
        "attn_qkv",
        [
          ("self_attn.q_proj", .queries, queries), ("self_attn.k_proj", .keysOrValues, keys),
          ("self_attn.v_proj", .keysOrValues, .same),
        ], bias: bias, isAlternative: true),
    ]
    if headNorms {
      rows += [GGUFTensorRow("attn_q_norm", "self_attn.q_norm"), GGUFTensorRow("attn_k_norm", "self_attn.k_norm")]
    }
    return rows
  }

  static let decoderTensors = [
    GGUFTensorRow("token_embd", "embed_tokens"), GGUFTensorRow("output_norm", "norm"),
    GGUFTensorRow("output", "lm_head", weight: .optional, isHead: true), .only("rope_freqs"),
    .only("rope_factors_long"), .only("rope_factors_short"),
  ]

  static let llamas: [GGUFFamily] = [llama, mistral, seedOss, qwen2, qwen3, deci, deciWithBiases, openelm]

  /// `vocab_size`, which some families write though the tokens tell it.
  static let vocabularySize = GGUFMetadataRow.computed("vocab_size", .count) { writing throws(FormatError) in
    writing.config["vocab_size"] ?? writing.rows(of: "embed_tokens.weight").map { JSONValue($0) }
  }

  /// The elements of a head that are turned: all of them.
  private static let turnedElements = GGUFMetadataRow.computed("rope.dimension_count", .count) {
    writing throws(FormatError) in JSONValue(writing.headDim)
  }

  private static let llama = llamaLike(modelType: "llama", className: "LlamaForCausalLM", places: 2048)

  private static let mistral: GGUFFamily = {
    var family = llamaLike(modelType: "mistral", className: "MistralForCausalLM", places: 131072)
    family.isRecognized = { _ in false }
    family.checkWriting = { writing throws(FormatError) in
      guard let window = writing.config["sliding_window"]?.intValue,
        window < writing.config["max_position_embeddings"]?.intValue ?? 131072
      else { return [] }
      return ["llama.cpp lets every token see all tokens before it, not only the last \(window)"]
    }
    return family
  }()

  /// Biases of queries, keys and values without one of the output matrix.
  private static let seedOss: GGUFFamily = {
    var family = llamaLike(modelType: "seed_oss", className: "SeedOssForCausalLM", places: 524288)
    family.isRecognized = { $0.hasBiasesOfQueriesOnly }
    return family
  }()

  private static func llamaLike(
    architecture: String = "llama", modelType: String, className: String, places: Int
  ) -> GGUFFamily {
    var family = GGUFFamily(
      architecture: architecture, modelType: modelType, className: className,
      metadata: GGUFMetadataRow.decoder(places: places, epsilon: 1e-6, headDim: .always)
        + [vocabularySize, turnedElements],
      tensors: decoderTensors,
      blocks: [GGUFBlockTable(prefix: "blk.", checkpointPrefix: "layers.", rows: llamaRows(turned: true))])
    family.capability = GGUFCapability(heads: .uniform) { $0.isPlain ? "deci" : nil }
    family.isRecognized = { modelType == "llama" && !$0.hasBiasesOfQueriesOnly }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeDecoder(&config, rope: 10_000, window: modelType == "mistral")
      let hasBias = reading.hasLayerTensor("attn_q.bias") || reading.hasLayerTensor("attn_qkv.bias")
      config.set("attention_bias", to: JSONValue(hasBias))
      config.set("mlp_bias", to: JSONValue(reading.hasLayerTensor("ffn_down.bias")))
      if modelType == "seed_oss" {
        config.set("attention_out_bias", to: JSONValue(reading.hasLayerTensor("attn_output.bias")))
        config.set("residual_dropout", to: 0.0)
      }
      config.set("attention_dropout", to: 0.0)
    }
    family.extraTensors = { writing throws(FormatError) in try GGUFRotary.frequencyFactors(writing) }
    family.checkWriting = { writing throws(FormatError) in
      try writing.requireActivation(["silu", "swish"], key: "hidden_act", default: "silu")
      return try GGUFRotary.check(writing)
    }
    return family
  }

  private static let qwen2: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "qwen2", modelType: "qwen2", className: "Qwen2ForCausalLM",
      metadata: GGUFMetadataRow.decoder(places: 32768, epsilon: 1e-6, headDim: .ifGiven),
      tensors: decoderTensors,
      blocks: [GGUFBlockTable(prefix: "blk.", checkpointPrefix: "layers.", rows: llamaRows(turned: false))])
    family.capability = GGUFCapability(heads: .fixed) { $0.isPlain ? "deci" : nil }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeDecoder(&config, rope: 10_000, window: false)
      config.set("use_sliding_window", to: false)
      config.set("attention_dropout", to: 0.0)
    }
    family.checkWriting = { writing throws(FormatError) in
      try windowNotes(writing) + GGUFRotary.check(writing)
    }
    return family
  }()

  private static let qwen3: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "qwen3", modelType: "qwen3", className: "Qwen3ForCausalLM",
      metadata: GGUFMetadataRow.decoder(places: 32768, epsilon: 1e-6, headDim: .constant(128)), tensors: decoderTensors,
      blocks: [
        GGUFBlockTable(
          prefix: "blk.", checkpointPrefix: "layers.", rows: llamaRows(turned: false, headNorms: true))
      ])
    family.capability = GGUFCapability(heads: .uniform) { $0.isTied && $0.isPlain ? "openelm" : nil }
    family.completeConfiguration = { reading, config throws(FormatError) in try reading.completeQwen3(&config) }
    family.checkWriting = { writing throws(FormatError) in
      try windowNotes(writing) + GGUFRotary.check(writing)
    }
    return family
  }()

  private static func windowNotes(_ writing: GGUFWriting) throws(FormatError) -> [String] {
    guard writing.config["use_sliding_window"]?.boolValue == true else { return [] }
    return ["llama.cpp lets every token see all tokens before it, not only those in sliding_window"]
  }

  // MARK: Carriers

  /// Llama with counts of its own in every layer.
  private static let deci: GGUFFamily = carried(
    llamaLike(architecture: "deci", modelType: "llama", className: "LlamaForCausalLM", places: 2048)
  ) { !$0.hasBiasesOfQueriesOnly }

  private static let deciWithBiases: GGUFFamily = carried(
    llamaLike(architecture: "deci", modelType: "seed_oss", className: "SeedOssForCausalLM", places: 2048)
  ) { $0.hasBiasesOfQueriesOnly }

  /// Qwen3 with counts of its own in every layer, and with an output matrix that is the embedding.
  private static let openelm: GGUFFamily = {
    var family = qwen3
    family.architecture = "openelm"
    family.tensors = [
      GGUFTensorRow("token_embd", "embed_tokens"), GGUFTensorRow("output_norm", "norm"), .only("rope_freqs"),
    ]
    family.blocks[0].rows =
      llamaRows(turned: false, bias: .never, headNorms: true).filter {
        !["attn_q", "attn_k", "attn_v"].contains($0.names[0])
      }.map {
        var row = $0
        row.isAlternative = false
        return row
      }
    family.capability = GGUFCapability(heads: .perLayer, feedForward: .perLayer) { _ in nil }
    return family
  }()

  private static func carried(
    _ family: GGUFFamily, isRecognized: @escaping @Sendable (GGUFReading) -> Bool
  ) -> GGUFFamily {
    var family = family
    family.isRecognized = isRecognized
    family.capability = GGUFCapability(heads: .perLayer, feedForward: .perLayer) { _ in nil }
    return family
  }
}
