import CheckpointFormats
import ModelGraph
import PollardBase

/// Families whose checkpoints hold queries, keys and values of a head, or of a group, one after the other, where GGUF has all queries, all keys
/// and all values.
extension GGUFFamilies {
  static let fused: [GGUFFamily] = [gptNeoX, falcon(hasTwoNorms: true), falcon(hasTwoNorms: false), bloom]

  // MARK: GPT-NeoX

  private static let gptNeoX: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "gptneox", modelType: "gpt_neox", className: "GPTNeoXForCausalLM",
      metadata: [
        .count("context_length", "max_position_embeddings", default: 2048, required: true),
        .count("embedding_length", "hidden_size", default: 6144, required: true),
        .count("block_count", "num_hidden_layers", default: 44, required: true),
        .feedForward("intermediate_size"),
        .computed("rope.dimension_count", .count) { writing throws(FormatError) in
          let share = try rotation(writing).share
          return JSONValue(Int(Double(writing.headDim) * share))
        },
        .heads("num_attention_heads"),
        .flag("use_parallel_residual", "use_parallel_residual", default: true, required: true),
        .number("attention.layer_norm_epsilon", "layer_norm_eps", default: 1e-5, required: true),
        // The reference converter leaves out what differs from llama.cpp's defaults.
        .computed("rope.freq_base", .number) { writing throws(FormatError) in
          let theta = try rotation(writing).rotary.theta
          return theta == 10_000 ? nil : JSONValue(theta)
        },
        .entries("rope.scaling") { writing throws(FormatError) in try GGUFRotary.scalingEntries(writing) },
      ],
      tensors: [
        GGUFTensorRow("token_embd", "embed_in"), GGUFTensorRow("output_norm", "final_layer_norm", bias: .required),
        GGUFTensorRow("output", "embed_out", isHead: true), GGUFTensorRow("output", "lm_head", isHead: true),
      ],
      blocks: [
        GGUFBlockTable(
          prefix: "blk.", checkpointPrefix: "layers.",
          rows: [
            GGUFTensorRow("attn_norm", "input_layernorm", bias: .required),
            GGUFTensorRow("attn_qkv", "attention.query_key_value", .interleavedByHead, bias: .required),
            GGUFTensorRow("attn_output", "attention.dense", bias: .required),
            GGUFTensorRow("ffn_norm", "post_attention_layernorm", bias: .required),
            GGUFTensorRow("ffn_up", "mlp.dense_h_to_4h", bias: .required),
            GGUFTensorRow("ffn_down", "mlp.dense_4h_to_h", bias: .required),
          ])
      ])
    family.checkWriting = { writing throws(FormatError) in
      try writing.require("attention_bias", true, default: true)
      try writing.require("tie_word_embeddings", false, default: false)
      let notes = try writing.checkActivation("hidden_act", default: "gelu", allowed: tanhGELU)
      return try notes + GGUFRotary.check(writing)
    }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeEmbeddings(&config)
      let width = try reading.headDim(config)
      let turned = try reading.count("rope.dimension_count") ?? width
      config.set("rotary_pct", to: JSONValue(Double(turned) / Double(width)))
      try GGUFRotary.read(reading, base: 10_000, into: &config)
      config.set("rotary_emb_base", to: config["rope_theta"] ?? 10_000)
      config.remove("rope_theta")
      config.set("hidden_act", to: "gelu")
      config.set("attention_bias", to: true)
    }
    return family
  }()

  private static func rotation(_ writing: GGUFWriting) throws(FormatError) -> PartialRotation {
    try PartialRotation(ConfigurationReader(writing.config, file: writing.file))
  }

  // MARK: Falcon

  /// Falcon; the two differ in what the first norm of a layer is, which tells the tables apart when a file is read.
  private static func falcon(hasTwoNorms: Bool) -> GGUFFamily {
    let norms = [
      GGUFTensorRow("attn_norm", "ln_mlp", weight: .optional, bias: .optional),
      GGUFTensorRow("attn_norm", "input_layernorm", weight: .optional, bias: .optional),
    ]
    var family = GGUFFamily(
      architecture: "falcon", modelType: "falcon", className: "FalconForCausalLM",
      metadata: [
        GGUFMetadataRow(
          key: "context_length", type: .count, source: .fixed(2048), configKey: "max_position_embeddings",
          isRequired: true),
        .fixed("tensor_data_layout", .text, "jploski"),
        .count("embedding_length", "hidden_size", "n_embed", default: 4544, required: true),
        .feedForward("ffn_hidden_size"), .count("block_count", "num_hidden_layers", default: 32, required: true),
        .heads("num_attention_heads"), .keyValueHeads("num_kv_heads"),
        .number("attention.layer_norm_epsilon", "layer_norm_epsilon", default: 1e-5, required: true), .fileType,
        // The reference converter leaves out what differs from llama.cpp's defaults.
        .computed("rope.freq_base", .number) { writing throws(FormatError) in
          let theta = try GGUFRotary.base(writing, default: 10_000)
          return theta?.doubleValue == 10_000 ? nil : theta
        },
        .entries("rope.scaling") { writing throws(FormatError) in try GGUFRotary.scalingEntries(writing) },
      ],
      tensors: [
        GGUFTensorRow("token_embd", "word_embeddings"), GGUFTensorRow("output_norm", "ln_f", bias: .required),
        GGUFTensorRow("output", "lm_head", weight: .optional, isHead: true),
      ],
      blocks: [
        GGUFBlockTable(
          prefix: "blk.", checkpointPrefix: "h.",
          rows: (hasTwoNorms ? norms : norms.reversed()) + [
            GGUFTensorRow("attn_norm_2", "ln_attn", weight: .optional, bias: .optional),
            GGUFTensorRow("attn_qkv", "self_attention.query_key_value", .interleavedByGroup),
            GGUFTensorRow("attn_output", "self_attention.dense"), GGUFTensorRow("ffn_up", "mlp.dense_h_to_4h"),
            GGUFTensorRow("ffn_down", "mlp.dense_4h_to_h"),
          ])
      ])
    family.isRecognized = { $0.hasLayerTensor("attn_norm_2.weight") == hasTwoNorms }
    family.checkWriting = { writing throws(FormatError) in
      try writing.require("alibi", false, default: false)
      try writing.require("bias", false, default: false)
      try writing.require("parallel_attn", true, default: true)
      let notes = try writing.checkActivation("activation", default: "gelu", allowed: tanhGELU)
      return try notes + GGUFRotary.check(writing)
    }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeEmbeddings(&config)
      try GGUFRotary.read(reading, base: 10_000, into: &config)
      let shared = config["num_kv_heads"]?.intValue ?? 1
      if config["num_kv_heads"] == nil { config.set("num_kv_heads", to: JSONValue(shared)) }
      let isMultiQuery = shared == 1 && !hasTwoNorms
      config.set("multi_query", to: true)
      config.set("new_decoder_architecture", to: JSONValue(!isMultiQuery))
      if !isMultiQuery { config.set("num_ln_in_parallel_attn", to: hasTwoNorms ? 2 : 1) }
      config.set("parallel_attn", to: true)
      config.set("alibi", to: false)
      config.set("bias", to: false)
      config.set("activation", to: "gelu")
    }
    return family
  }

  // MARK: BLOOM

  private static let bloom: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "bloom", modelType: "bloom", className: "BloomForCausalLM",
      metadata: [
        .computed("context_length", .count, into: "seq_length", required: true) { writing throws(FormatError) in
          writing.first(["seq_length", "hidden_size", "n_embed"])
        },
        .count("embedding_length", "hidden_size", "n_embed", default: 64, required: true),
        .feedForward("n_inner"), .count("block_count", "n_layer", "num_hidden_layers", default: 2, required: true),
        .heads("n_head"), .keyValueHeads(nil),
        .number("attention.layer_norm_epsilon", "layer_norm_epsilon", default: 1e-5, required: true), .fileType,
      ],
      tensors: [
        GGUFTensorRow("token_embd", "word_embeddings"),
        GGUFTensorRow("token_embd_norm", "word_embeddings_layernorm", bias: .required),
        GGUFTensorRow("output_norm", "ln_f", bias: .required),
        GGUFTensorRow("output", "lm_head", weight: .optional, isHead: true),
      ],
      blocks: [
        GGUFBlockTable(
          prefix: "blk.", checkpointPrefix: "h.",
          rows: [
            GGUFTensorRow("attn_norm", "input_layernorm", bias: .required),
            GGUFTensorRow("attn_qkv", "self_attention.query_key_value", .interleavedByHead, bias: .required),
            GGUFTensorRow("attn_output", "self_attention.dense", bias: .required),
            GGUFTensorRow("ffn_norm", "post_attention_layernorm", bias: .required),
            GGUFTensorRow("ffn_up", "mlp.dense_h_to_4h", bias: .required),
            GGUFTensorRow("ffn_down", "mlp.dense_4h_to_h", bias: .required),
          ])
      ])
    family.capability = GGUFCapability(
      heads: .fixed,
      remark: "every slope of the linear biases follows from the number of all heads, so removed heads stay as zeros")
    family.checkWriting = { writing throws(FormatError) in
      try writing.require("apply_residual_connection_post_layernorm", false, default: false)
      return []
    }
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeEmbeddings(&config)
      // The width is told only where it is not the class's own.
      if let width = config["n_inner"]?.intValue, let hidden = config["hidden_size"]?.intValue, width == 4 * hidden {
        config.remove("n_inner")
      }
    }
    return family
  }()

  /// The activations that llama.cpp computes by its table of the tanh form.
  static let tanhGELU = ["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"]
}

extension GGUFWriting {
  /// Refuses a configuration whose flag is not what llama.cpp computes.
  ///
  /// - Throws: `unsupportedConfiguration`.
  func require(_ key: String, _ wanted: Bool, default value: Bool) throws(FormatError) {
    let found = try ConfigurationReader(config, file: file).flag(key, default: value)
    guard found == wanted else {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key(key),
        expected: "\(wanted), as llama.cpp computes the architecture \(family.architecture)", found: "\(found)")
    }
  }

  /// Refuses an activation that llama.cpp does not compute for the architecture.
  ///
  /// - Returns: sentences about one that it computes nearly.
  /// - Throws: `unsupportedConfiguration`.
  func checkActivation(_ key: String, default value: String, allowed: [String]) throws(FormatError) -> [String] {
    let name = try ConfigurationReader(config, file: file).text(key, default: value)
    guard allowed.contains(name) else {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key(key),
        expected: "one of " + allowed.joined(separator: ", "),
        found: "\"\(name)\"")
    }
    return name == "gelu"
      ? ["llama.cpp computes gelu by its tanh form, which differs from the exact one by up to 5e-4"] : []
  }
}
