import CheckpointFormats
import PollardBase

extension GGUFReading {
  /// Completes the configuration of a decoder with rotary positions.
  ///
  /// - Parameters:
  ///   - base: the base of the rotary wavelengths where the file has none.
  ///   - window: whether the class has a window by default, which must be switched off.
  func completeDecoder(_ config: inout JSONObject, rope base: Double, window: Bool) throws(FormatError) {
    try completeEmbeddings(&config)
    try completeHeads(&config)
    config.set("hidden_act", to: "silu")
    try GGUFRotary.read(self, base: base, into: &config)
    if window { config.set("sliding_window", to: .null) }
  }

  /// The vocabulary's size and whether the output matrix is the embedding.
  func completeEmbeddings(_ config: inout JSONObject) throws(FormatError) {
    guard let embedding = tensors["token_embd.weight"] else {
      throw FormatError(.missingTensor, file: file, subject: .tensor("token_embd.weight"))
    }
    config.set("vocab_size", to: JSONValue(embedding.shape.extents.first ?? 0))
    config.set("tie_word_embeddings", to: JSONValue(tensors["output.weight"] == nil))
  }

  /// The width of a head: `key_length`, or the width of the states by the first layer's heads.
  ///
  /// - Throws: `unsupportedConfiguration` where keys and values, or what is turned of them, have other widths.
  func headDim(_ config: JSONObject) throws(FormatError) -> Int {
    let hidden = try requiredCount("embedding_length")
    let heads = try layerCounts("attention.head_count", layers: layerCount())?.first ?? 0
    guard heads > 0 else {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key(key("attention.head_count")),
        expected: "a head in the first layer, from which llama.cpp takes the width of all", found: "none")
    }
    let width = try count("attention.key_length") ?? hidden / heads
    for name in ["attention.value_length"] {
      let other = try count(name) ?? hidden / heads
      guard other == width else {
        throw FormatError(
          .unsupportedConfiguration, file: file, subject: .key(key(name)),
          expected: "attention.key_length \(width)", found: "\(other)")
      }
    }
    return width
  }

  private func completeHeads(_ config: inout JSONObject) throws(FormatError) {
    let width = try headDim(config)
    let hidden = try requiredCount("embedding_length")
    let heads = config["num_attention_heads"]?.intValue ?? 1
    if architecture != "qwen2" || heads * width != hidden { config.set("head_dim", to: JSONValue(width)) }
    if config["num_key_value_heads"] == nil { config.set("num_key_value_heads", to: JSONValue(heads)) }
    if let turned = try count("rope.dimension_count"), turned != width {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key(key("rope.dimension_count")),
        expected: "the heads' width \(width)", found: "\(turned)")
    }
  }

  func completeQwen3(_ config: inout JSONObject) throws(FormatError) {
    try completeDecoder(&config, rope: 10_000, window: false)
    config.set("attention_bias", to: JSONValue(hasLayerTensor("attn_q.bias")))
    config.set("use_sliding_window", to: false)
    config.set("attention_dropout", to: 0.0)
  }
}
