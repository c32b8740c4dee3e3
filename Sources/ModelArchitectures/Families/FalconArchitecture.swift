import ModelGraph
import PollardBase
import TensorStorage

/// Falcon: a decoder with a fused projection in one of three layouts, rotary positions or linear biases.
///
///     x = x + O·attention(LN₁ x) + W₂ f(W₁ LN₂ x)     per layer, then a final norm
///
/// Tensors of layer N under `h.N`: `self_attention.query_key_value`, `self_attention.dense` `[hidden, heads·headDim]`, `mlp.dense_h_to_4h`
/// `[ffn, hidden]`, `mlp.dense_4h_to_h` `[hidden, ffn]`, and norms: `ln_attn` and `ln_mlp`, or `input_layernorm` alone for both, or, one
/// sub-layer after the other, `input_layernorm` and `post_attention_layernorm`.
///
/// Rows of the fused matrix: for each group its queries, its key, its value (`new_decoder_architecture`, or every head a group without
/// `multi_query`); all queries, one key, one value (`multi_query`).
struct FalconArchitecture: Architecture {
  let modelType = "falcon"
  let classPrefix = "Falcon"
  let basePrefix = "transformer."
  let layerStacks = [LayerStack(prefix: "h.", countKey: "num_hidden_layers", defaultCount: 32)]
  let sharesKeyValueHeads = true
  let tasks: [ModelTask] = [.base, .causalLanguageModel]

  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    isStored("lm_head.weight") ? .causalLanguageModel : .base
  }

  func isBuffer(_ name: String) -> Bool { name.hasSuffix("rotary_emb.inv_freq") || name.hasSuffix("rotary.inv_freq") }

  func belongsToAnotherHead(_ name: String) -> Bool {
    name == "lm_head.weight" || ["score.", "classifier.", "qa_outputs."].contains(where: name.hasPrefix)
  }

  /// The norms of a layer.
  private enum Norms { case apart, shared, inTurn }

  private struct Sizes {
    var hidden: Int
    var heads: Int
    var keyValueHeads: Int
    var layout: FusedLayout
    var layers: Int
    var feedForward: Int
    var epsilon: Double
    var vocabulary: Int
    var activation: ActivationFunction
    var bias: Bool
    var norms: Norms
    /// Nil where linear biases stand in its place.
    var rotary: RotaryConfiguration?
    var headDim: Int { hidden / heads }

    func fused(_ layer: Int) -> FusedLayer {
      FusedLayer(
        layout: layout, heads: heads, keyValueHeads: keyValueHeads, headDim: headDim, hidden: hidden,
        feedForward: feedForward, fused: "h.\(layer).self_attention.query_key_value",
        output: "h.\(layer).self_attention.dense", up: "h.\(layer).mlp.dense_h_to_4h")
    }
  }

  private func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let hiddenKey = config.has("n_embed") ? "n_embed" : "hidden_size"
    let hidden = try config.count(hiddenKey, default: 4544)
    let heads = try config.headCount("num_attention_heads", default: 71, dividing: hidden, hiddenKey)
    let isNew = try config.flag("new_decoder_architecture", default: false)
    let isMultiQuery = try config.flag("multi_query", default: true)
    var shared = heads
    if isNew {
      shared = try config.headCount("num_kv_heads", default: heads, dividing: heads, "num_attention_heads")
    } else if isMultiQuery {
      shared = 1
    } else if let other = try config.optionalCount("num_kv_heads"), other != heads {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key("num_kv_heads"),
        expected: "\(heads), as num_attention_heads, without new_decoder_architecture", found: "\(other)")
    }
    return Sizes(
      hidden: hidden, heads: heads, keyValueHeads: shared,
      layout: isNew ? .byGroup : isMultiQuery ? .oneGroupLast : .byHead,
      layers: try config.count("num_hidden_layers", default: 32),
      feedForward: try config.optionalCount("ffn_hidden_size") ?? 4 * hidden,
      epsilon: try config.positiveNumber("layer_norm_epsilon", default: 1e-5),
      vocabulary: try config.rows("vocab_size", default: 65024),
      activation: try ActivationFunction(config, key: "activation", default: "gelu"),
      bias: try config.flag("bias", default: false), norms: try norms(config, isNew: isNew),
      rotary: try config.flag("alibi", default: false) ? nil : RotaryConfiguration(config))
  }

  private func norms(_ config: ConfigurationReader, isNew: Bool) throws(FormatError) -> Norms {
    let isParallel = try config.flag("parallel_attn", default: true)
    let count = try config.optionalInteger("num_ln_in_parallel_attn", in: 1...2) ?? (isNew ? 2 : 1)
    if !isParallel, !isNew { return .inTurn }
    guard isParallel else {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key("parallel_attn"),
        expected: "true with new_decoder_architecture", found: "false")
    }
    guard isNew || count == 1 else {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key("num_ln_in_parallel_attn"),
        expected: "1 without new_decoder_architecture", found: "\(count)")
    }
    return count == 2 ? .apart : .shared
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
    let positions: Positions
    if let rotary = sizes.rotary {
      let positionIDs = builder.tokenInput("position_ids", derivedBy: .ascending)
      let mask = try builder.keyMask(attentionMask)
      positions = .rotary(
        try builder.rotaryAngles(positionIDs, rotary, headDim: sizes.headDim, file: config.file), mask: mask)
    } else {
      positions = .linear(try builder.linearBiases(attentionMask, roundsToBFloat16: true))
    }
    let pruned = try PrunedHeads(config, layers: sizes.layers, heads: sizes.heads)
    var layers: [LayerDescription] = []
    for index in 0..<sizes.layers {
      let layer = try builder.describe(
        index, sizes.fused(index), pruned, ragged: ragged, countsHeads: sizes.rotary != nil, file: config.file)
      builder.tapHiddenState(index, x)
      x = try decoderLayer(x, positions, layer, sizes, &builder)
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

  /// What tells the places of tokens apart.
  private enum Positions {
    case rotary(RotaryAngles, mask: ValueID)
    case linear(LinearBiases)
  }

  private func decoderLayer(
    _ input: ValueID, _ positions: Positions, _ described: LayerDescription, _ sizes: Sizes,
    _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let layer = described.summary
    let name = "h.\(layer.index)"
    func norm(_ x: ValueID, _ part: String, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
      try builder.layerNorm(x, "\(name).\(part)", width: sizes.hidden, epsilon: sizes.epsilon)
    }
    builder.scope = "\(name).self_attention"
    let first = try norm(input, sizes.norms == .apart ? "ln_attn" : "input_layernorm", &builder)
    let attended = try attention(first, positions, described, sizes, &builder)
    builder.scope = "\(name).mlp"
    let sum: ValueID
    let second: ValueID
    switch sizes.norms {
    case .apart: (sum, second) = (input, try norm(input, "ln_mlp", &builder))
    case .shared: (sum, second) = (input, first)
    case .inTurn:
      sum = try builder.add("Add", [input, attended])
      second = try norm(sum, "post_attention_layernorm", &builder)
    }
    var x = try builder.linear(
      second, "\(name).mlp.dense_h_to_4h", outputs: layer.feedForward, inputs: sizes.hidden, bias: sizes.bias)
    x = try builder.activation(x, sizes.activation)
    x = try builder.linear(
      x, "\(name).mlp.dense_4h_to_h", outputs: sizes.hidden, inputs: layer.feedForward, bias: sizes.bias)
    if sizes.norms != .inTurn { x = try builder.add("Add", [x, attended]) }
    return try builder.add("Add", [sum, x])
  }

  private func attention(
    _ x: ValueID, _ positions: Positions, _ described: LayerDescription, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let layer = described.summary
    let name = "h.\(layer.index).self_attention"
    let width = layer.heads * layer.headDim
    let scale = 1 / Double(layer.headDim).squareRoot()
    let fused = try builder.linear(
      x, "\(name).query_key_value", outputs: builder.fusedRows(layer), inputs: sizes.hidden, bias: sizes.bias)
    var (q, k, v) = try builder.splitFused(fused, sizes.layout, layer)
    let mask: ValueID
    switch positions {
    case .rotary(let angles, let keys):
      q = try builder.rotated(q, angles)
      k = try builder.rotated(k, angles)
      mask = keys
    case .linear(let biases):
      // The biases are scaled with the scores.
      mask = try builder.linearBias(
        biases, heads: described.originalHeads, of: sizes.heads, factor: scale, name: name)
    }
    let mixed = try builder.attention(q, k, v, mask: mask, scale: scale, isCausal: true, width: width)
    return try builder.linear(mixed, "\(name).dense", outputs: sizes.hidden, inputs: width, bias: sizes.bias)
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    try change.refuseCarriers()
    var editor = ConfigurationEditor(change.config)
    try editor.setPrunedHeads(change, heads: sizes(ConfigurationReader(change.config, file: change.file)).heads)
    if change.changesFeedForward { editor.set("ffn_hidden_size", change.feedForward) }
    return editor.config
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    let isLinear = (try? config.flag("alibi", default: false)) ?? false
    return .fixedHeads(
      config, feedForwardKey: "ffn_hidden_size",
      because: isLinear ? "every slope of the linear biases follows from the number of all heads" : nil,
      olderReaderMisses: isLinear ? nil : config.olderReaderMisses)
  }
}
