import ModelGraph
import PollardBase
import TensorStorage

/// GPT-2: a pre-norm decoder with learned positions.
///
///     x = x + O·attention(LN₁ x); x = x + W₂ f(W₁ LN₂ x)     per layer, then a final norm
///
/// Matrices are stored `[inputs, outputs]`. Tensors of layer N under `h.N`: `attn.c_attn` `[hidden, 3·heads·headDim]`
/// (queries, keys and values in three blocks), `attn.c_proj` `[heads·headDim, hidden]`, `mlp.c_fc` `[hidden, ffn]`,
/// `mlp.c_proj` `[ffn, hidden]`, all with biases, `ln_1`, `ln_2`.
struct GPT2Architecture: Architecture {
  let modelType = "gpt2"
  let classPrefix = "GPT2"
  let basePrefix = "transformer."
  let tasks: [ModelTask] = [.base, .causalLanguageModel]
  let layerStacks = [LayerStack(prefix: "h.", countKey: "n_layer", defaultCount: 12)]

  func layerNumberDependence(_ config: ConfigurationReader) throws(FormatError) -> String? {
    try config.flag("scale_attn_by_inverse_layer_idx", default: false)
      ? "scale_attn_by_inverse_layer_idx, which divides scores by the layer's number" : nil
  }

  func className(_ task: ModelTask) -> String {
    task == .causalLanguageModel ? "GPT2LMHeadModel" : classPrefix + task.classSuffix
  }

  /// Output matrices are rarely stored, so the base prefix, which files of the plain class do without, is no sign
  /// either: a file that names no class gives hidden states unless it stores the matrix.
  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    isStored("lm_head.weight") ? .causalLanguageModel : .base
  }

  func isBuffer(_ name: String) -> Bool {
    name.hasPrefix("h.") && (name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias"))
  }

  func belongsToAnotherHead(_ name: String) -> Bool { name == "lm_head.weight" }

  private struct Sizes {
    var hidden: Int
    var heads: Int
    var layers: Int
    var feedForward: Int
    var epsilon: Double
    var vocabulary: Int
    var activation: ActivationFunction
    var scalesByWidth: Bool
    var scalesByLayer: Bool
    var headDim: Int { hidden / heads }

    func scale(_ layer: Int) -> Double {
      (scalesByWidth ? 1 / Double(headDim).squareRoot() : 1) / (scalesByLayer ? Double(layer + 1) : 1)
    }
  }

  private func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let hidden = try config.count("n_embd", default: 768)
    let sizes = Sizes(
      hidden: hidden, heads: try config.count("n_head", default: 12), layers: try config.count("n_layer", default: 12),
      feedForward: try config.optionalCount("n_inner") ?? 4 * hidden,
      epsilon: try config.positiveNumber("layer_norm_epsilon", default: 1e-5),
      vocabulary: try config.rows("vocab_size", default: 50257),
      activation: try ActivationFunction(config, key: "activation_function", default: "gelu_new"),
      scalesByWidth: try config.flag("scale_attn_weights", default: true),
      scalesByLayer: try config.flag("scale_attn_by_inverse_layer_idx", default: false))
    guard sizes.hidden % sizes.heads == 0 else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("n_head"),
        expected: "a divisor of n_embd \(sizes.hidden)",
        found: "\(sizes.heads)")
    }
    try config.refuse("add_cross_attention")
    return sizes
  }

  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription] {
    let sizes = try sizes(config)
    let ids = builder.tokenInput("input_ids")
    let attentionMask = builder.tokenInput("attention_mask", derivedBy: .ones)
    let positionIDs = builder.tokenInput("position_ids", derivedBy: .ascending)
    builder.scope = "embeddings"
    let word = try builder.parameter("wte.weight", [sizes.vocabulary, sizes.hidden])
    let position = try builder.parameter("wpe.weight", [config.rows("n_positions", default: 1024), sizes.hidden])
    var x = try builder.add(
      "Add", [builder.add("Gather", [word, ids]), builder.add("Gather", [position, positionIDs])])
    let mask = try builder.keyMask(attentionMask)
    let pruned = try PrunedHeads(config, layers: sizes.layers, heads: sizes.heads)
    var layers: [LayerDescription] = []
    for index in 0..<sizes.layers {
      let layer = try describe(index, sizes, pruned, ragged: ragged, builder)
      builder.tapHiddenState(index, x)
      x = try decoderLayer(x, mask, layer.summary, sizes, &builder)
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
        "lm_head.weight", tiedTo: "wte.weight", isTied: config.flag("tie_word_embeddings", default: true),
        outputs: sizes.vocabulary, inputs: sizes.hidden)
      builder.output("logits", try builder.add("MatMul", [x, matrix]))
    default: throw FormatError(.unsupportedClass, file: config.file, found: className(task))
    }
    return layers
  }

  private func describe(
    _ index: Int, _ sizes: Sizes, _ pruned: PrunedHeads, ragged: Bool, _ builder: ModelBuilder
  ) throws(FormatError) -> LayerDescription {
    var heads = pruned.kept(index, of: sizes.heads)
    var feedForward = sizes.feedForward
    if ragged {
      let hidden = "\(sizes.hidden)"
      let stored = try builder.blockCount(
        "h.\(index).attn.c_proj.weight", axis: 0, block: sizes.headDim, expected: ["heads", hidden])
      if stored != heads.count { heads = Array(0..<stored) }
      feedForward = try builder.blockCount(
        "h.\(index).mlp.c_fc.weight", axis: 1, block: 1, expected: [hidden, "neurons"])
    }
    let summary = LayerSummary(
      index: index, heads: heads.count, keyValueHeads: heads.count, headDim: sizes.headDim, feedForward: feedForward)
    return LayerDescription(summary: summary, originalHeads: heads)
  }

  private func decoderLayer(
    _ input: ValueID, _ mask: ValueID, _ layer: LayerSummary, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "h.\(layer.index)"
    let width = layer.heads * layer.headDim
    builder.scope = "\(name).attn"
    var x = try builder.layerNorm(input, "\(name).ln_1", width: sizes.hidden, epsilon: sizes.epsilon)
    x = try builder.untransposedLinear(x, "\(name).attn.c_attn", outputs: 3 * width, inputs: sizes.hidden)
    var parts = try builder.add(
      "Split", [x, builder.integers([width, width, width])], ["axis": .integer(2)], outputs: 3)
    for index in parts.indices {
      let split = try builder.withHeadAxis(parts[index], heads: layer.heads, headDim: layer.headDim)
      parts[index] = try builder.exchangingSequenceAndHeads(split)
    }
    x = try builder.attention(
      parts[0], parts[1], parts[2], mask: mask, scale: sizes.scale(layer.index), isCausal: true, width: width)
    x = try builder.untransposedLinear(x, "\(name).attn.c_proj", outputs: sizes.hidden, inputs: width)
    let attended = try builder.add("Add", [x, input])
    builder.scope = "\(name).mlp"
    x = try builder.layerNorm(attended, "\(name).ln_2", width: sizes.hidden, epsilon: sizes.epsilon)
    x = try builder.untransposedLinear(x, "\(name).mlp.c_fc", outputs: layer.feedForward, inputs: sizes.hidden)
    x = try builder.activation(x, sizes.activation)
    x = try builder.untransposedLinear(x, "\(name).mlp.c_proj", outputs: sizes.hidden, inputs: layer.feedForward)
    return try builder.add("Add", [x, attended])
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    try change.refuseCarriers()
    var editor = ConfigurationEditor(change.config)
    let config = try ConfigurationReader(change.config, file: change.file)
    try editor.setPrunedHeads(change, heads: config.count("n_head", default: 12))
    if change.changesFeedForward { editor.set("n_inner", change.feedForward) }
    return editor.config
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    .prunedHeads(config, layers: layers, feedForwardKey: "n_inner")
  }
}
