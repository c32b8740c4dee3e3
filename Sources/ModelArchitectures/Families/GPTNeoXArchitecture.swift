import ModelGraph
import PollardBase
import TensorStorage

/// GPT-NeoX and Pythia: a decoder that turns a part of each head, and adds attention and feed-forward network side by side.
///
///     x = x + O·attention(LN₁ x) + W₂ f(W₁ LN₂ x)     per layer, then a final norm
///
/// Without `use_parallel_residual` the second norm reads the sum of the first two. Tensors of layer N under `layers.N`:
/// `attention.query_key_value` `[heads·3·headDim, hidden]` (for each head its query, key and value), `attention.dense`
/// `[hidden, heads·headDim]`, `mlp.dense_h_to_4h` `[ffn, hidden]`, `mlp.dense_4h_to_h` `[hidden, ffn]`, `input_layernorm`,
/// `post_attention_layernorm`. The output matrix `embed_out` is a parameter of its own.
struct GPTNeoXArchitecture: Architecture {
  let modelType = "gpt_neox"
  let classPrefix = "GPTNeoX"
  let basePrefix = "gpt_neox."
  let layerStacks = [LayerStack(prefix: "layers.", countKey: "num_hidden_layers", defaultCount: 44)]
  let tasks: [ModelTask] = [.base, .causalLanguageModel]

  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    Self.outputMatrices.contains(where: isStored) ? .causalLanguageModel : .base
  }

  func isBuffer(_ name: String) -> Bool {
    name.hasSuffix(".attention.bias") || name.hasSuffix(".attention.masked_bias")
      || name.hasSuffix("rotary_emb.inv_freq")
  }

  func belongsToAnotherHead(_ name: String) -> Bool {
    Self.outputMatrices.contains(name) || ["score.", "classifier.", "qa_outputs."].contains(where: name.hasPrefix)
  }

  private static let outputMatrices = ["embed_out.weight", "lm_head.weight"]

  private struct Sizes {
    var hidden: Int
    var heads: Int
    var layers: Int
    var feedForward: Int
    var epsilon: Double
    var vocabulary: Int
    var activation: ActivationFunction
    var isParallel: Bool
    var attentionBias: Bool
    var turned: Int
    var rotary: RotaryConfiguration
    var headDim: Int { hidden / heads }

    func fused(_ layer: Int) -> FusedLayer {
      FusedLayer(
        layout: .byHead, heads: heads, keyValueHeads: heads, headDim: headDim, hidden: hidden,
        feedForward: feedForward, fused: "layers.\(layer).attention.query_key_value",
        output: "layers.\(layer).attention.dense", up: "layers.\(layer).mlp.dense_h_to_4h")
    }
  }

  private func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let hidden = try config.count("hidden_size", default: 6144)
    let heads = try config.headCount("num_attention_heads", default: 64, dividing: hidden, "hidden_size")
    let partial = try PartialRotation(config)
    let turned = Int(Double(hidden / heads) * partial.share)
    guard turned > 0, turned <= hidden / heads else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("rotary_pct"),
        expected: "a share that turns from 1 to \(hidden / heads) elements of a head", found: "\(partial.share)")
    }
    return Sizes(
      hidden: hidden, heads: heads, layers: try config.count("num_hidden_layers", default: 44),
      feedForward: try config.count("intermediate_size", default: 24576),
      epsilon: try config.positiveNumber("layer_norm_eps", default: 1e-5),
      vocabulary: try config.rows("vocab_size", default: 50432),
      activation: try ActivationFunction(config, key: "hidden_act", default: "gelu"),
      isParallel: try config.flag("use_parallel_residual", default: true),
      attentionBias: try config.flag("attention_bias", default: true), turned: turned, rotary: partial.rotary)
  }

  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription] {
    let sizes = try sizes(config)
    let ids = builder.tokenInput("input_ids")
    let attentionMask = builder.tokenInput("attention_mask", derivedBy: .ones)
    let positionIDs = builder.tokenInput("position_ids", derivedBy: .ascending)
    builder.scope = "embed_in"
    let word = try builder.parameter("embed_in.weight", [sizes.vocabulary, sizes.hidden])
    var x = try builder.add("Gather", [word, ids])
    let mask = try builder.keyMask(attentionMask)
    let pruned = try PrunedHeads(config, layers: sizes.layers, heads: sizes.heads)
    let angles = try builder.rotaryAngles(positionIDs, sizes.rotary, headDim: sizes.turned, file: config.file)
    var layers: [LayerDescription] = []
    for index in 0..<sizes.layers {
      let layer = try builder.describe(index, sizes.fused(index), pruned, ragged: ragged, file: config.file)
      builder.tapHiddenState(index, x)
      x = try decoderLayer(x, mask, angles, layer.summary, sizes, &builder)
      layers.append(layer)
    }
    builder.scope = "final_layer_norm"
    x = try builder.layerNorm(x, "final_layer_norm", width: sizes.hidden, epsilon: sizes.epsilon)
    builder.tapHiddenState(sizes.layers, x)
    switch task {
    case .base: builder.output("last_hidden_state", x)
    case .causalLanguageModel:
      builder.scope = "embed_out"
      let name = Self.outputMatrices.first(where: builder.has) ?? Self.outputMatrices[0]
      let matrix = try builder.outputMatrix(
        name, tiedTo: "embed_in.weight", isTied: config.flag("tie_word_embeddings", default: false),
        outputs: sizes.vocabulary, inputs: sizes.hidden)
      builder.output("logits", try builder.add("MatMul", [x, matrix]))
    default: throw FormatError(.unsupportedClass, file: config.file, found: className(task))
    }
    return layers
  }

  private func decoderLayer(
    _ input: ValueID, _ mask: ValueID, _ angles: RotaryAngles, _ layer: LayerSummary, _ sizes: Sizes,
    _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "layers.\(layer.index)"
    builder.scope = "\(name).attention"
    var x = try builder.layerNorm(input, "\(name).input_layernorm", width: sizes.hidden, epsilon: sizes.epsilon)
    x = try builder.linear(
      x, "\(name).attention.query_key_value", outputs: builder.fusedRows(layer), inputs: sizes.hidden,
      bias: sizes.attentionBias)
    let (q, k, v) = try builder.splitFused(x, .byHead, layer)
    let turned = sizes.turned == sizes.headDim ? nil : sizes.turned
    x = try builder.attention(
      builder.rotated(q, angles, size: turned), builder.rotated(k, angles, size: turned), v, mask: mask,
      scale: 1 / Double(layer.headDim).squareRoot(), isCausal: true, width: layer.heads * layer.headDim)
    let attended = try builder.linear(
      x, "\(name).attention.dense", outputs: sizes.hidden, inputs: layer.heads * layer.headDim,
      bias: sizes.attentionBias)
    builder.scope = "\(name).mlp"
    if sizes.isParallel {
      let fed = try feedForward(input, layer, sizes, &builder)
      return try builder.add("Add", [builder.add("Add", [fed, attended]), input])
    }
    let sum = try builder.add("Add", [attended, input])
    return try builder.add("Add", [feedForward(sum, layer, sizes, &builder), sum])
  }

  private func feedForward(
    _ input: ValueID, _ layer: LayerSummary, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "layers.\(layer.index)"
    var x = try builder.layerNorm(
      input, "\(name).post_attention_layernorm", width: sizes.hidden, epsilon: sizes.epsilon)
    x = try builder.linear(x, "\(name).mlp.dense_h_to_4h", outputs: layer.feedForward, inputs: sizes.hidden)
    x = try builder.activation(x, sizes.activation)
    return try builder.linear(x, "\(name).mlp.dense_4h_to_h", outputs: sizes.hidden, inputs: layer.feedForward)
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    try change.refuseCarriers()
    var editor = ConfigurationEditor(change.config)
    let config = try ConfigurationReader(change.config, file: change.file)
    try editor.setPrunedHeads(change, heads: config.count("num_attention_heads", default: 64))
    if change.changesFeedForward { editor.set("intermediate_size", change.feedForward) }
    return editor.config
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    .fixedHeads(
      config, feedForwardKey: "intermediate_size", olderReaderMisses: PartialRotation.olderReaderMisses(config))
  }
}

/// The share of each head that is turned, and by which angles, in the spellings of both releases.
///
/// 4.x: `rotary_pct` and `rotary_emb_base`, which win over the general names that it writes beside them. 5.x: `rope_parameters` with
/// `partial_rotary_factor` and `rope_theta`.
struct PartialRotation: Equatable {
  var share: Double
  var rotary: RotaryConfiguration

  init(_ config: ConfigurationReader) throws(FormatError) {
    var members = config.object
    members.remove("partial_rotary_factor")
    let base = try config.positiveNumber("rotary_emb_base", default: 10_000)
    members.set("rope_theta", to: JSONValue(base))
    share = try config.positiveNumber("rotary_pct", default: 0.25)
    if let newer = try config.nested("rope_parameters") {
      share = try newer.positiveNumber("partial_rotary_factor", default: share)
      var inner = newer.object
      inner.remove("partial_rotary_factor")
      members.set("rope_parameters", to: .object(inner))
    }
    rotary = try RotaryConfiguration(ConfigurationReader(.object(members), file: config.file))
  }

  /// What transformers 4, which knows no `rope_parameters`, would read otherwise; nil when it reads the same.
  static func olderReaderMisses(_ config: ConfigurationReader) -> String? {
    guard config.has("rope_parameters"), let asked = try? PartialRotation(config) else { return nil }
    var members = config.object
    members.remove("rope_parameters")
    guard let reader = try? ConfigurationReader(.object(members), file: config.file),
      let seen = try? PartialRotation(reader), seen != asked
    else { return nil }
    return
      "transformers 4 ignores rope_parameters and would turn heads otherwise; it needs rotary_pct, rotary_emb_base "
      + "and rope_scaling"
  }
}
