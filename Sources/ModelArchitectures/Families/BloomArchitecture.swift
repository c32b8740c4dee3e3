import ModelGraph
import PollardBase
import TensorStorage

/// BLOOM: a pre-norm decoder with linear biases in place of positions and a norm after the embedding.
///
///     x = x + O·attention(LN₁ x); x = x + W₂ f(W₁ LN₂ x)     per layer, then a final norm
///
/// Tensors of layer N under `h.N`: `self_attention.query_key_value` `[heads·3·headDim, hidden]` (for each head its query, key and value),
/// `self_attention.dense` `[hidden, heads·headDim]`, `mlp.dense_h_to_4h` `[4·hidden, hidden]`, `mlp.dense_4h_to_h` `[hidden, 4·hidden]`,
/// `input_layernorm`, `post_attention_layernorm`. Other widths than 4·hidden, which the class does not have but its GGUF form does, are in
/// `n_inner`. Slopes follow from a head's number and the count of all heads.
struct BloomArchitecture: Architecture {
  let modelType = "bloom"
  let classPrefix = "Bloom"
  let basePrefix = "transformer."
  let layerStacks = [
    LayerStack(prefix: "h.", countKey: "n_layer", preferredKey: "num_hidden_layers", defaultCount: 2)
  ]
  let tasks: [ModelTask] = [.base, .causalLanguageModel]

  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    isStored("lm_head.weight") ? .causalLanguageModel : .base
  }

  func isBuffer(_ name: String) -> Bool { false }

  func belongsToAnotherHead(_ name: String) -> Bool {
    name == "lm_head.weight" || ["score.", "classifier.", "qa_outputs."].contains(where: name.hasPrefix)
  }

  private struct Sizes {
    var hidden: Int
    var heads: Int
    var layers: Int
    var feedForward: Int
    var epsilon: Double
    var vocabulary: Int
    /// Whether a sub-layer's residual is the normalised input rather than the input.
    var addsToNorm: Bool
    var headDim: Int { hidden / heads }

    func fused(_ layer: Int) -> FusedLayer {
      FusedLayer(
        layout: .byHead, heads: heads, keyValueHeads: heads, headDim: headDim, hidden: hidden,
        feedForward: feedForward, fused: "h.\(layer).self_attention.query_key_value",
        output: "h.\(layer).self_attention.dense", up: "h.\(layer).mlp.dense_h_to_4h")
    }
  }

  /// The names of other classes win over BLOOM's own, as in transformers.
  private func key(_ config: ConfigurationReader, _ general: String, _ own: String) -> String {
    config.has(general) ? general : own
  }

  private func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let hiddenKey = key(config, "n_embed", "hidden_size")
    let hidden = try config.count(hiddenKey, default: 64)
    return Sizes(
      hidden: hidden,
      heads: try config.headCount(
        key(config, "num_attention_heads", "n_head"), default: 8, dividing: hidden, hiddenKey),
      layers: try config.count(key(config, "num_hidden_layers", "n_layer"), default: 2),
      feedForward: try config.optionalCount("n_inner") ?? 4 * hidden,
      epsilon: try config.positiveNumber("layer_norm_epsilon", default: 1e-5),
      vocabulary: try config.rows("vocab_size", default: 250_880),
      addsToNorm: try config.flag("apply_residual_connection_post_layernorm", default: false))
  }

  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription] {
    let sizes = try sizes(config)
    let ids = builder.tokenInput("input_ids")
    let attentionMask = builder.tokenInput("attention_mask", derivedBy: .ones)
    builder.scope = "word_embeddings"
    let word = try builder.parameter("word_embeddings.weight", [sizes.vocabulary, sizes.hidden])
    var x = try builder.add("Gather", [word, ids])
    builder.scope = "word_embeddings_layernorm"
    x = try builder.layerNorm(x, "word_embeddings_layernorm", width: sizes.hidden, epsilon: sizes.epsilon)
    let biases = try builder.linearBiases(attentionMask, roundsToBFloat16: false)
    let pruned = try PrunedHeads(config, layers: sizes.layers, heads: sizes.heads)
    var layers: [LayerDescription] = []
    for index in 0..<sizes.layers {
      let layer = try builder.describe(
        index, sizes.fused(index), pruned, ragged: ragged, countsHeads: false, file: config.file)
      builder.tapHiddenState(index, x)
      x = try decoderLayer(x, biases, layer, sizes, &builder)
      layers.append(layer)
    }
    builder.scope = "ln_f"
    x = try builder.layerNorm(x, "ln_f", width: sizes.hidden, epsilon: sizes.epsilon)
    builder.tapHiddenState(sizes.layers, x)
    switch task {
    case .base: builder.output("last_hidden_state", x)
    case .causalLanguageModel:
      builder.scope = "lm_head"
      let matrix = try builder.outputMatrix(
        "lm_head.weight", tiedTo: "word_embeddings.weight", isTied: config.flag("tie_word_embeddings", default: true),
        outputs: sizes.vocabulary, inputs: sizes.hidden)
      builder.output("logits", try builder.add("MatMul", [x, matrix]))
    default: throw FormatError(.unsupportedClass, file: config.file, found: className(task))
    }
    return layers
  }

  private func decoderLayer(
    _ input: ValueID, _ biases: LinearBiases, _ described: LayerDescription, _ sizes: Sizes,
    _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let layer = described.summary
    let name = "h.\(layer.index)"
    builder.scope = "\(name).self_attention"
    let first = try builder.layerNorm(input, "\(name).input_layernorm", width: sizes.hidden, epsilon: sizes.epsilon)
    var x = try builder.linear(
      first, "\(name).self_attention.query_key_value", outputs: builder.fusedRows(layer), inputs: sizes.hidden)
    let (q, k, v) = try builder.splitFused(x, .byHead, layer)
    let bias = try builder.linearBias(
      biases, heads: described.originalHeads, of: sizes.heads, name: "\(name).self_attention")
    x = try builder.attention(
      q, k, v, mask: bias, scale: 1 / Double(layer.headDim).squareRoot(), isCausal: true,
      width: layer.heads * layer.headDim)
    x = try builder.linear(
      x, "\(name).self_attention.dense", outputs: sizes.hidden, inputs: layer.heads * layer.headDim)
    let attended = try builder.add("Add", [x, sizes.addsToNorm ? first : input])
    builder.scope = "\(name).mlp"
    let second = try builder.layerNorm(
      attended, "\(name).post_attention_layernorm", width: sizes.hidden, epsilon: sizes.epsilon)
    x = try builder.linear(second, "\(name).mlp.dense_h_to_4h", outputs: layer.feedForward, inputs: sizes.hidden)
    x = try builder.activation(x, .gelu_new)
    x = try builder.linear(x, "\(name).mlp.dense_4h_to_h", outputs: sizes.hidden, inputs: layer.feedForward)
    return try builder.add("Add", [x, sizes.addsToNorm ? second : attended])
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    try change.refuseCarriers()
    var editor = ConfigurationEditor(change.config)
    try editor.setPrunedHeads(change, heads: sizes(ConfigurationReader(change.config, file: change.file)).heads)
    if change.changesFeedForward { editor.set("n_inner", change.feedForward) }
    return editor.config
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    var rules = LoaderRules.fixedHeads(
      config, feedForwardKey: nil, because: "every slope of the linear biases follows from the number of all heads")
    if let sizes = try? sizes(config), sizes.feedForward != 4 * sizes.hidden {
      for index in rules.rows.indices where rules.rows[index].loader.hasPrefix("transformers-") {
        rules.rows[index].opens = false
        rules.rows[index].remark =
          "the class takes four times the hidden size as the feed-forward width, whatever n_inner says"
      }
    }
    return rules
  }
}
