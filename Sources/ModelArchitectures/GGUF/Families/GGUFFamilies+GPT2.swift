import CheckpointFormats
import PollardBase

extension GGUFFamilies {
  static let gpt2: GGUFFamily = {
    let rows: [GGUFTensorRow] = [
      GGUFTensorRow("attn_norm", "ln_1", bias: .required),
      GGUFTensorRow("attn_qkv", "attn.c_attn", .transposed, bias: .required),
      GGUFTensorRow("attn_output", "attn.c_proj", .transposed, bias: .required),
      GGUFTensorRow("ffn_norm", "ln_2", bias: .required),
      GGUFTensorRow("ffn_up", "mlp.c_fc", .transposed, bias: .required),
      GGUFTensorRow("ffn_down", "mlp.c_proj", .transposed, bias: .required),
    ]
    var family = GGUFFamily(
      architecture: "gpt2", modelType: "gpt2", className: "GPT2LMHeadModel",
      metadata: [
        .count("block_count", "n_layer", default: 12, required: true),
        .count("context_length", "n_ctx", "n_positions", default: 1024, required: true),
        .count("embedding_length", "n_embd", default: 768, required: true), .feedForward("n_inner"), .heads("n_head"),
        .number("attention.layer_norm_epsilon", "layer_norm_epsilon", default: 1e-5, required: true), .fileType,
      ],
      tensors: [
        GGUFTensorRow("token_embd", "wte"), GGUFTensorRow("position_embd", "wpe"),
        GGUFTensorRow("output_norm", "ln_f", bias: .required),
        GGUFTensorRow("output", "lm_head", weight: .optional, isHead: true),
      ], blocks: [GGUFBlockTable(prefix: "blk.", checkpointPrefix: "h.", rows: rows)])
    family.completeConfiguration = { reading, config throws(FormatError) in
      try reading.completeEmbeddings(&config)
      config.set("n_positions", to: config["n_ctx"] ?? 1024)
      config.set("activation_function", to: "gelu_new")
      if config["n_inner"]?.intValue == (config["n_embd"]?.intValue).map({ 4 * $0 }) {
        config.set("n_inner", to: .null)
      }
      // Transformers ties these matrices unless a file has both.
      if config["tie_word_embeddings"] == true { config.remove("tie_word_embeddings") }
    }
    family.checkWriting = { writing throws(FormatError) in
      try writing.requireActivation(
        ["gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu"], key: "activation_function", default: "gelu_new")
      for (key, usual) in [("scale_attn_by_inverse_layer_idx", false), ("scale_attn_weights", true)] {
        guard let value = writing.config[key]?.boolValue, value != usual else { continue }
        throw FormatError(
          .unsupportedConfiguration, file: writing.file, subject: .key(key), expected: "\(usual) for GGUF",
          found: "\(value)")
      }
      return []
    }
    return family
  }()
}
