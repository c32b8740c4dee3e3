import ModelGraph
import PollardBase
import TensorStorage

/// T5: an encoder and a decoder with relative positions, or the encoder alone.
///
///     x = x + O·attention(rms x); x = x + W_o f(W_i rms x)     per block, then a final norm; no biases, scores are not scaled
///
/// A decoder block attends to the encoder's states between the two. Tensors of block N under `encoder.block.N`: `layer.0.SelfAttention.{q,k,v}`
/// `[heads·headDim, hidden]`, `.o` `[hidden, heads·headDim]`, `layer.1.DenseReluDense.wi` `[ffn, hidden]` (or `wi_0`, through the activation,
/// times `wi_1`), `.wo` `[hidden, ffn]`, `layer.{0,1}.layer_norm`; under `decoder.block.N` the same with `layer.1.EncDecAttention` between, and
/// the network in `layer.2`. `SelfAttention.relative_attention_bias` `[buckets, heads]` of a stack's first block is read by all of its blocks.
///
/// Layers are counted through: the encoder's, the decoder's, then the decoder's second attentions, which have no neurons.
struct T5Architecture: Architecture {
  let modelType = "t5"
  let classPrefix = "T5"
  let basePrefix = ""
  let layerStacks = [
    LayerStack(
      prefix: "encoder.block.", countKey: "num_layers", defaultCount: 6,
      sharedSuffixes: ["relative_attention_bias.weight"]),
    LayerStack(
      prefix: "decoder.block.", countKey: "num_decoder_layers", fallbackKey: "num_layers", defaultCount: 6,
      sharedSuffixes: ["relative_attention_bias.weight"]),
  ]
  let tasks: [ModelTask] = [.base, .conditionalGeneration, .encoder]

  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    isStored("decoder.final_layer_norm.weight") ? .conditionalGeneration : .encoder
  }

  /// Old files carry a table for the second attention, which no release reads.
  func isBuffer(_ name: String) -> Bool {
    name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
  }

  func belongsToAnotherHead(_ name: String) -> Bool {
    name == "lm_head.weight" || ["classification_head.", "classifier.", "qa_outputs."].contains(where: name.hasPrefix)
  }

  /// The sizes and switches of one model.
  struct Sizes {
    var hidden: Int
    var heads: Int
    var headDim: Int
    var feedForward: Int
    var encoderLayers: Int
    var decoderLayers: Int
    var epsilon: Double
    var vocabulary: Int
    var activation: ActivationFunction
    var isGated: Bool
  }

  /// The embedding's names: one parameter, which files may hold up to three times.
  static let embeddings = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"]

  func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let layers = try config.count("num_layers", default: 6)
    let network = try Self.network(config)
    return Sizes(
      hidden: try config.count("d_model", default: 512), heads: try config.count("num_heads", default: 8),
      headDim: try config.count("d_kv", default: 64), feedForward: try config.count("d_ff", default: 2048),
      encoderLayers: layers, decoderLayers: try config.optionalCount("num_decoder_layers") ?? layers,
      epsilon: try config.positiveNumber("layer_norm_epsilon", default: 1e-6),
      vocabulary: try config.rows("vocab_size", default: 32128), activation: network.activation,
      isGated: network.isGated)
  }

  /// The feed-forward network's function and whether a gate goes with it: `feed_forward_proj` names both, and `dense_act_fn` and
  /// `is_gated_act`, which transformers 4 and 5 derive from it and save, overrule it.
  ///
  /// - Throws: `unsupportedConfiguration` naming a function that is not described.
  static func network(
    _ config: ConfigurationReader
  ) throws(FormatError) -> (activation: ActivationFunction, isGated: Bool) {
    let form = try config.text("feed_forward_proj", default: "relu")
    let isGated = form.hasPrefix("gated-")
    // The plain name means the tanh form where a gate goes with it.
    let name = form == "gated-gelu" ? "gelu_new" : String(form.dropFirst(isGated ? 6 : 0))
    guard ActivationFunction(rawValue: name) != nil else {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key("feed_forward_proj"),
        expected: "an activation that is described, with or without gated- before it", found: "\"\(form)\"")
    }
    return (
      try ActivationFunction(config, key: "dense_act_fn", default: name),
      try config.flag("is_gated_act", default: isGated)
    )
  }

  /// Whether the decoder's output is multiplied by `d_model^-0.5`: transformers 5 writes it down, 4 does so for tied matrices.
  private func scalesOutput(_ config: ConfigurationReader) throws(FormatError) -> Bool {
    try config.flag("scale_decoder_outputs", default: config.flag("tie_word_embeddings", default: true))
  }

  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription] {
    let sizes = try sizes(config)
    try config.refuse("is_decoder", because: "name T5ForConditionalGeneration, T5Model or T5EncoderModel")
    let ids = builder.tokenInput("input_ids")
    let attentionMask = builder.tokenInput("attention_mask", derivedBy: .ones)
    builder.scope = "shared"
    let embedding = try builder.sharedParameter(Self.embeddings, [sizes.vocabulary, sizes.hidden])
    let mask = try builder.keyMask(attentionMask)
    var encoder = try T5Stack(
      "encoder", layers: sizes.encoderLayers, offset: 0, config, sizes, ragged: ragged, tokens: ids, mask: mask,
      &builder)
    let taps = task == .encoder ? "hidden_states" : "encoder_hidden_states"
    let states = try encoder.run(builder.add("Gather", [embedding, ids]), taps: taps, &builder)
    if task == .encoder {
      builder.output("last_hidden_state", states)
      return encoder.layers
    }
    let decoderIDs = builder.tokenInput("decoder_input_ids", length: "decoder_sequence")
    let decoderMask = builder.tokenInput("decoder_attention_mask", length: "decoder_sequence", derivedBy: .ones)
    builder.scope = "decoder"
    var decoder = try T5Stack(
      "decoder", layers: sizes.decoderLayers, offset: sizes.encoderLayers, config, sizes, ragged: ragged,
      tokens: decoderIDs, mask: builder.keyMask(decoderMask), &builder)
    decoder.encoded = (states, mask)
    var x = try decoder.run(
      builder.add("Gather", [embedding, decoderIDs]), taps: "decoder_hidden_states", &builder)
    switch task {
    case .base: builder.output("last_hidden_state", x)
    case .conditionalGeneration:
      builder.scope = "lm_head"
      if try scalesOutput(config) {
        x = try builder.add("Mul", [x, builder.scalar(Float(1 / Double(sizes.hidden).squareRoot()))])
      }
      let name = Self.embeddings.first(where: builder.has) ?? Self.embeddings[0]
      let matrix = try builder.outputMatrix(
        "lm_head.weight", tiedTo: name, isTied: config.flag("tie_word_embeddings", default: true),
        outputs: sizes.vocabulary, inputs: sizes.hidden)
      builder.output("logits", try builder.add("MatMul", [x, matrix]))
    default: throw FormatError(.unsupportedClass, file: config.file, found: className(task))
    }
    builder.output("encoder_last_hidden_state", states)
    return encoder.layers + decoder.layers + decoder.crossLayers
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    try change.refuseCarriers()
    var editor = ConfigurationEditor(change.config)
    let sizes = try sizes(ConfigurationReader(change.config, file: change.file))
    if change.changesHeads {
      let stacks = [
        0..<sizes.encoderLayers, sizes.encoderLayers..<sizes.encoderLayers + sizes.decoderLayers,
      ].filter { $0.upperBound <= change.keptHeads.count }
      for layer in stacks.joined() {
        let first = stacks.first { $0.contains(layer) }?.lowerBound ?? 0
        guard change.keptHeads[layer] == change.keptHeads[first] else {
          throw FormatError(
            .cannotExpress, file: change.file, subject: .layer(layer),
            expected: "the heads that layer \(first) keeps, because all layers of a stack read one table of positions",
            found: "others", remedy: "ask for --shape uniform, or choose a mask with the same heads in every layer")
        }
      }
      editor.set("num_heads", change.after.map(\.heads).max() ?? sizes.heads)
      editor.setIfAbsent("d_kv", JSONValue(sizes.headDim))
    }
    if change.changesFeedForward { editor.set("d_ff", change.feedForward) }
    return editor.config
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    let remark =
      "one num_heads for both stacks and the attention between them, in each stack the same heads in every layer; one d_ff"
    func row(_ loader: String, _ opens: Bool?, _ remark: String) -> LoaderRule {
      LoaderRule(loader: loader, opens: opens, heads: .uniformAlike, feedForward: .uniform, remark: remark)
    }
    let scales = try? scalesOutput(config)
    let older = try? config.flag("tie_word_embeddings", default: true)
    return LoaderRules([
      row(
        "transformers-4", scales == older,
        scales == older ? remark : "transformers 4 ignores scale_decoder_outputs and would scale the outputs otherwise"),
      row("transformers-5", true, remark), .llamaCpp(heads: .uniformAlike, feedForward: .uniform), .onnxRuntime,
      row("vllm", nil, "not tested"),
    ])
  }
}
