import CheckpointFormats
import PollardBase

extension GGUFFamilies {
  /// StableLM: layer norms, part of each head turned; whether both halves of a layer read one norm shows the norm that is missing.
  static let stableLM: GGUFFamily = {
    var family = GGUFFamily(
      architecture: "stablelm", modelType: "stablelm", className: "StableLmForCausalLM",
      metadata: [
        .count("context_length", "max_position_embeddings", default: 4096, required: true),
        .count("embedding_length", "hidden_size", required: true),
        .count("block_count", "num_hidden_layers", required: true), .feedForward("intermediate_size"), turnedPart,
        .heads("num_attention_heads"), .keyValueHeads("num_key_value_heads"),
        .flag("use_parallel_residual", "use_parallel_residual", default: false),
        .number("attention.layer_norm_epsilon", "layer_norm_eps", "norm_eps", default: 1e-5, required: true),
        .fileType,
        .entries("rope.scaling") { writing throws(FormatError) in try GGUFRotary.scalingEntries(writing) },
        // The reference leaves the base out, which llama.cpp takes to be 10000.
        .computed("rope.freq_base", .number) { writing throws(FormatError) in
          let base = try writing.rotary().theta
          return base == 10_000 ? nil : JSONValue(base)
        },
      ],
      tensors: [
        GGUFTensorRow("token_embd", "embed_tokens"), GGUFTensorRow("output_norm", "norm", bias: .required),
        GGUFTensorRow("output", "lm_head", isHead: true),
      ],
      blocks: [
        GGUFBlockTable(
          prefix: "blk.", checkpointPrefix: "layers.",
          rows: [
            GGUFTensorRow("attn_norm", "input_layernorm", bias: .required),
            GGUFTensorRow("attn_q", "self_attn.q_proj", bias: .optional),
            GGUFTensorRow("attn_k", "self_attn.k_proj", bias: .optional),
            GGUFTensorRow("attn_v", "self_attn.v_proj", bias: .optional),
            GGUFTensorRow("attn_output", "self_attn.o_proj"),
            GGUFTensorRow("ffn_norm", "post_attention_layernorm", weight: .optional, bias: .optional),
            GGUFTensorRow("ffn_gate", "mlp.gate_proj"), GGUFTensorRow("ffn_up", "mlp.up_proj"),
            GGUFTensorRow("ffn_down", "mlp.down_proj"),
          ])
      ])
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completePartlyTurned(&config, rope: 10_000)
      config.set("use_parallel_residual", to: JSONValue(!reading.hasLayerTensor("ffn_norm.weight")))
      config.set("use_qkv_bias", to: JSONValue(reading.hasLayerTensor("attn_q.bias")))
      config.set("qk_layernorm", to: JSONValue(reading.hasLayerTensor("attn_q_norm.weight")))
      config.set("hidden_dropout", to: 0.0)
    }
    family.checkWriting = { writing throws(FormatError) in
      try writing.checkSquareHeads()
      try writing.checkActivation("silu")
      guard writing.weights["lm_head.weight"] != nil else {
        throw FormatError(
          .cannotExpress, file: writing.file, subject: .key("tie_word_embeddings"),
          expected: "an output matrix of its own, which llama.cpp asks for in this architecture", found: "none")
      }
      return try GGUFRotary.check(writing)
    }
    return family
  }()
}
