import ModelGraph

/// Gemma 1 to 3: Llama with norms whose stored weights lack their one, and embeddings scaled by the square root of
/// their width.
///
/// - Gemma 2 has a norm after each half of a layer too, caps scores and logits, and lets every other layer see a window
///   only; scores are scaled by `query_pre_attn_scalar`.
/// - Gemma 3 normalises queries and keys instead of capping scores, lets five of six layers see a window only and turns
///   these by other angles.
extension LlamaArchitecture {
  static let gemmas: [LlamaArchitecture] = [gemma, gemma2, gemma3]

  private static let gemma = gemma(
    "gemma", "Gemma", activationKey: "hidden_act", hidden: 3072, feedForward: 24576, layers: 28, heads: 16,
    keyValueHeads: 16, vocabulary: 256_000
  ) { gemma in
    // The first checkpoints say "gelu" and mean the tanh form, as transformers 5 and the original code take it.
    gemma.renamedActivations = ["gelu": "gelu_pytorch_tanh"]
  }

  private static let gemma2 = gemma("gemma2", "Gemma2", vocabulary: 256_000) { gemma in
    gemma.sandwiched()
    gemma.scoreCap = .key("attn_logit_softcapping", default: 50)
    gemma.logitCap = .key("final_logit_softcapping", default: 30)
    gemma.window = .allButLastOf(period: 2, key: nil)
  }

  private static let gemma3 = gemma("gemma3_text", "Gemma3", vocabulary: 262_208) { gemma in
    gemma.sandwiched()
    gemma.baseClassName = "Gemma3TextModel"
    gemma.headNorm = .shared
    gemma.logitCap = .key("final_logit_softcapping", default: nil)
    gemma.window = .allButLastOf(period: 6, key: "sliding_window_pattern")
    gemma.rotary = RotaryConfiguration.Defaults(theta: 1_000_000, places: 131_072)
    gemma.windowRotary = RotaryConfiguration.Defaults(
      theta: 10_000, thetaKey: "rope_local_base_freq", scalingKey: nil, places: 131_072)
  }

  /// What the three share.
  private static func gemma(
    _ modelType: String, _ classPrefix: String, activationKey: String = "hidden_activation", hidden: Int = 2304,
    feedForward: Int = 9216, layers: Int = 26, heads: Int = 8, keyValueHeads: Int = 4, vocabulary: Int,
    _ change: (inout LlamaArchitecture) -> Void
  ) -> LlamaArchitecture {
    var result = LlamaArchitecture(
      modelType: modelType, classPrefix: classPrefix, norm: .rmsPlusOne,
      queryBias: .key("attention_bias", default: false), outputBias: .key("attention_bias", default: false),
      activationKey: activationKey, activation: "gelu_pytorch_tanh", scalesEmbeddings: true,
      refusedFlags: ["use_bidirectional_attention"], isTied: true, headDim: .constant(256),
      keyValueHeads: keyValueHeads, hidden: hidden, feedForward: feedForward, layers: layers, heads: heads,
      vocabulary: vocabulary)
    result.rotary.places = 8192
    change(&result)
    return result
  }

  /// What Gemma 2 and 3 share.
  private mutating func sandwiched() {
    arrangement = .normedOnBothSides
    queryScale = (key: "query_pre_attn_scalar", default: 256)
    headCounts = .dividingHidden
  }
}
