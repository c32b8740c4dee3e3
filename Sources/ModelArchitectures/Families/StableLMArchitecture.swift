import ModelGraph

/// StableLM: Llama with layer norms, of whose heads a quarter is turned.
///
/// `use_parallel_residual` lets both halves of a layer read the same norm, and there is no `post_attention_layernorm` then;
/// `qk_layernorm` gives each head of the queries and keys a norm of its own (`self_attn.q_layernorm.norms.<head>`). The
/// class derives the width of a head from the hidden size.
extension LlamaArchitecture {
  static let stableLM = LlamaArchitecture(
    modelType: "stablelm", classPrefix: "StableLm", norm: .layer, epsilonKey: "layer_norm_eps", epsilon: 1e-5,
    headNorm: .ofEachHead(ifKey: "qk_layernorm"), arrangement: .inTurnUnless("use_parallel_residual"),
    queryBias: .key("use_qkv_bias", default: false),
    rotary: RotaryConfiguration.Defaults(turnedPart: 0.25, places: 4096), headCounts: .derived, llamaCppHeads: .fixed,
    keyValueHeads: 32, hidden: 2560, feedForward: 6912, vocabulary: 50304)
}
