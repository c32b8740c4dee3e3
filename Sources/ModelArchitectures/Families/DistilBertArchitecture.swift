import ModelGraph
import PollardBase
import TensorStorage

/// DistilBERT: BERT's encoder without token types and pooler.
///
/// Tensors of layer N under `transformer.layer.N`: `attention.{q_lin,k_lin,v_lin}` `[heads·headDim, dim]`,
/// `attention.out_lin` `[dim, heads·headDim]`, `ffn.lin1` `[hidden_dim, dim]`, `ffn.lin2` `[dim, hidden_dim]`, all with
/// biases, `sa_layer_norm`, `output_layer_norm`. The queries' factor 1/√headDim is the attention's scale. The norms'
/// epsilon is 1e-12 in every model.
struct DistilBertArchitecture: Architecture {
  let modelType = "distilbert"
  let classPrefix = "DistilBert"
  let basePrefix = "distilbert."
  let layerStacks = [LayerStack(prefix: "transformer.layer.", countKey: "n_layers", defaultCount: 6)]
  let tasks: [ModelTask] = [
    .base, .maskedLanguageModel, .sequenceClassification, .tokenClassification, .questionAnswering,
  ]
  private let epsilon = 1e-12

  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    if isStored("vocab_transform.weight") { return .maskedLanguageModel }
    if isStored("pre_classifier.weight") { return .sequenceClassification }
    if isStored("qa_outputs.weight") { return .questionAnswering }
    return isStored("classifier.weight") ? .tokenClassification : .base
  }

  func isBuffer(_ name: String) -> Bool { name == "embeddings.position_ids" }

  func belongsToAnotherHead(_ name: String) -> Bool {
    ["vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "classifier.", "qa_outputs."]
      .contains(where: name.hasPrefix)
  }

  private struct Sizes {
    var hidden: Int
    var heads: Int
    var layers: Int
    var feedForward: Int
    var vocabulary: Int
    var activation: ActivationFunction
    var headDim: Int { hidden / heads }
  }

  private func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let sizes = Sizes(
      hidden: try config.count("dim", default: 768), heads: try config.count("n_heads", default: 12),
      layers: try config.count("n_layers", default: 6), feedForward: try config.count("hidden_dim", default: 3072),
      vocabulary: try config.rows("vocab_size", default: 30522),
      activation: try ActivationFunction(config, key: "activation", default: "gelu"))
    guard sizes.hidden % sizes.heads == 0 else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("n_heads"), expected: "a divisor of dim \(sizes.hidden)",
        found: "\(sizes.heads)")
    }
    return sizes
  }

  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription] {
    let sizes = try sizes(config)
    let ids = builder.tokenInput("input_ids")
    let attentionMask = builder.tokenInput("attention_mask", derivedBy: .ones)
    builder.scope = "embeddings"
    let places = try config.rows("max_position_embeddings", default: 512)
    let word = try builder.parameter("embeddings.word_embeddings.weight", [sizes.vocabulary, sizes.hidden])
    let position = try builder.parameter("embeddings.position_embeddings.weight", [places, sizes.hidden])
    let positionIDs = builder.tokenInput("position_ids", derivedBy: .ascending)
    var x = try builder.add(
      "Add", [builder.add("Gather", [word, ids]), builder.add("Gather", [position, positionIDs])])
    x = try builder.layerNorm(x, "embeddings.LayerNorm", width: sizes.hidden, epsilon: epsilon)
    let mask = try builder.keyMask(attentionMask)
    let pruned = try PrunedHeads(config, layers: sizes.layers, heads: sizes.heads)
    var layers: [LayerDescription] = []
    for index in 0..<sizes.layers {
      let layer = try describe(index, sizes, pruned, ragged: ragged, builder)
      builder.tapHiddenState(index, x)
      x = try encoderLayer(x, mask, layer.summary, sizes, &builder)
      layers.append(layer)
    }
    builder.tapHiddenState(sizes.layers, x)
    try head(task, x, config, sizes, &builder)
    return layers
  }

  private func describe(
    _ index: Int, _ sizes: Sizes, _ pruned: PrunedHeads, ragged: Bool, _ builder: ModelBuilder
  ) throws(FormatError) -> LayerDescription {
    var heads = pruned.kept(index, of: sizes.heads)
    var feedForward = sizes.feedForward
    if ragged {
      let name = "transformer.layer.\(index)"
      let stored = try builder.blockCount(
        "\(name).attention.q_lin.weight", axis: 0, block: sizes.headDim, expected: ["heads", "\(sizes.hidden)"])
      if stored != heads.count { heads = Array(0..<stored) }
      feedForward = try builder.blockCount(
        "\(name).ffn.lin1.weight", axis: 0, block: 1, expected: ["neurons", "\(sizes.hidden)"])
    }
    let summary = LayerSummary(
      index: index, heads: heads.count, keyValueHeads: heads.count, headDim: sizes.headDim, feedForward: feedForward)
    return LayerDescription(summary: summary, originalHeads: heads)
  }

  private func encoderLayer(
    _ input: ValueID, _ mask: ValueID, _ layer: LayerSummary, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "transformer.layer.\(layer.index)"
    let width = layer.heads * layer.headDim
    builder.scope = "\(name).attention"
    var parts: [ValueID] = []
    for part in ["q_lin", "k_lin", "v_lin"] {
      let projected = try builder.linear(input, "\(name).attention.\(part)", outputs: width, inputs: sizes.hidden)
      let split = try builder.withHeadAxis(projected, heads: layer.heads, headDim: layer.headDim)
      parts.append(try builder.exchangingSequenceAndHeads(split))
    }
    var x = try builder.attention(
      parts[0], parts[1], parts[2], mask: mask, scale: 1 / Double(layer.headDim).squareRoot(), isCausal: false,
      width: width)
    x = try builder.linear(x, "\(name).attention.out_lin", outputs: sizes.hidden, inputs: width)
    builder.scope = name
    x = try builder.add("Add", [x, input])
    let attended = try builder.layerNorm(x, "\(name).sa_layer_norm", width: sizes.hidden, epsilon: epsilon)
    builder.scope = "\(name).ffn"
    x = try builder.linear(attended, "\(name).ffn.lin1", outputs: layer.feedForward, inputs: sizes.hidden)
    x = try builder.activation(x, sizes.activation)
    x = try builder.linear(x, "\(name).ffn.lin2", outputs: sizes.hidden, inputs: layer.feedForward)
    builder.scope = name
    x = try builder.add("Add", [x, attended])
    return try builder.layerNorm(x, "\(name).output_layer_norm", width: sizes.hidden, epsilon: epsilon)
  }

  private func head(
    _ task: ModelTask, _ x: ValueID, _ config: ConfigurationReader, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) {
    let hidden = sizes.hidden
    switch task {
    case .base:
      builder.output("last_hidden_state", x)
    case .maskedLanguageModel:
      builder.scope = "vocab_projector"
      let isTied = try config.flag("tie_word_embeddings", default: true)
      let dense = try builder.linear(x, "vocab_transform", outputs: hidden, inputs: hidden)
      let normalised = try builder.layerNorm(
        builder.activation(dense, sizes.activation), "vocab_layer_norm", width: hidden, epsilon: epsilon)
      let matrix = try builder.outputMatrix(
        "vocab_projector.weight", tiedTo: "embeddings.word_embeddings.weight", isTied: isTied,
        outputs: sizes.vocabulary, inputs: hidden)
      let bias = try builder.bias(["vocab_projector.bias"], sizes.vocabulary)
      builder.output("logits", try builder.add("Add", [builder.add("MatMul", [normalised, matrix]), bias]))
    case .sequenceClassification:
      builder.scope = "pre_classifier"
      let dense = try builder.linear(builder.firstToken(x), "pre_classifier", outputs: hidden, inputs: hidden)
      let activated = try builder.add("Relu", [dense])
      builder.scope = "classifier"
      let labels = try builder.labelCount("classifier.weight", inputs: hidden)
      builder.output("logits", try builder.linear(activated, "classifier", outputs: labels, inputs: hidden))
    case .tokenClassification:
      builder.scope = "classifier"
      let labels = try builder.labelCount("classifier.weight", inputs: hidden)
      builder.output("logits", try builder.linear(x, "classifier", outputs: labels, inputs: hidden))
    case .questionAnswering:
      builder.scope = "qa_outputs"
      try builder.answerOutputs(builder.linear(x, "qa_outputs", outputs: 2, inputs: hidden))
    case .causalLanguageModel, .preTraining, .nextSentencePrediction, .conditionalGeneration, .encoder:
      throw FormatError(.unsupportedClass, file: config.file, found: className(task))
    }
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    try change.refuseCarriers()
    var editor = ConfigurationEditor(change.config)
    let config = try ConfigurationReader(change.config, file: change.file)
    try editor.setPrunedHeads(change, heads: config.count("n_heads", default: 12))
    if change.changesFeedForward { editor.set("hidden_dim", change.feedForward) }
    return editor.config
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    .prunedHeads(config, layers: layers, feedForwardKey: "hidden_dim")
  }
}
