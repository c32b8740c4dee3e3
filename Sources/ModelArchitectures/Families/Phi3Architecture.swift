import ModelGraph

/// Phi-3, Phi-3.5 and the text models of Phi-4: Llama with fused matrices.
///
/// Tensors of layer N under `layers.N`: `self_attn.qkv_proj` `[(heads + 2·keyValueHeads)·headDim, hidden]` (queries, keys
/// and values in three blocks), `mlp.gate_up_proj` `[2·ffn, hidden]` (gate first). Part of each head may stay unturned, and
/// long texts turn by other angles (`longrope`; older files say `su` or `yarn`).
extension LlamaArchitecture {
  static let phi3 = LlamaArchitecture(
    modelType: "phi3", classPrefix: "Phi3", epsilon: 1e-5, isFused: true, window: .everywhere(default: nil),
    rotary: RotaryConfiguration.Defaults(turnedPart: 1, places: 4096, originalPlaces: 4096, yarnIsLongRope: true),
    headCounts: .anyWithoutFactorLists, llamaCppHeads: .fixed, hidden: 3072, feedForward: 8192, vocabulary: 32064)
}
