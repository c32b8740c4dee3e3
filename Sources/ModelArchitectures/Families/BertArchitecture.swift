import ModelGraph
import PollardBase
import TensorStorage

/// BERT, RoBERTa and XLM-RoBERTa: post-norm encoders with learned positions.
///
///     x = LN(word + type + position)
///     x = LN(x + O·attention(x)); x = LN(x + W₂ f(W₁ x))     per layer
///
/// Tensors of layer N under `encoder.layer.N`: `attention.self.{query,key,value}` `[heads·headDim, hidden]`,
/// `attention.output.dense` `[hidden, heads·headDim]`, `intermediate.dense` `[ffn, hidden]`, `output.dense` `[hidden,
/// ffn]`, all with biases, and two norms.
struct BertArchitecture: Architecture {
  let modelType: String
  let classPrefix: String
  let basePrefix: String
  /// Whether positions count the tokens that are not padding, from the padding token's number on, as RoBERTa does.
  let countsPositionsFromPadding: Bool

  static let all: [any Architecture] = [
    BertArchitecture(modelType: "bert", classPrefix: "Bert", basePrefix: "bert.", countsPositionsFromPadding: false),
    BertArchitecture(
      modelType: "roberta", classPrefix: "Roberta", basePrefix: "roberta.", countsPositionsFromPadding: true),
    BertArchitecture(
      modelType: "xlm-roberta", classPrefix: "XLMRoberta", basePrefix: "roberta.", countsPositionsFromPadding: true),
  ]

  let layerStacks = [LayerStack(prefix: "encoder.layer.", countKey: "num_hidden_layers", defaultCount: 12)]

  var isRoberta: Bool { countsPositionsFromPadding }

  var tasks: [ModelTask] {
    [.base, .maskedLanguageModel, .sequenceClassification, .tokenClassification, .questionAnswering]
      + (isRoberta ? [] : [.preTraining, .nextSentencePrediction])
  }

  func task(shownBy isStored: (String) -> Bool) -> ModelTask {
    if isStored("cls.predictions.transform.dense.weight") || isStored("lm_head.dense.weight") {
      return .maskedLanguageModel
    }
    if isStored("qa_outputs.weight") { return .questionAnswering }
    if isStored("cls.seq_relationship.weight") { return .nextSentencePrediction }
    if isStored("classifier.out_proj.weight") { return .sequenceClassification }
    if isStored("classifier.weight") {
      // A classifier of the whole sequence reads the pooler; one of its tokens comes without.
      return isStored("pooler.dense.weight") && !isRoberta ? .sequenceClassification : .tokenClassification
    }
    return .base
  }

  func isBuffer(_ name: String) -> Bool {
    name == "embeddings.position_ids" || name == "embeddings.token_type_ids"
  }

  func belongsToAnotherHead(_ name: String) -> Bool {
    ["pooler.dense.", "cls.", "lm_head.", "classifier.", "qa_outputs."].contains(where: name.hasPrefix)
  }

  /// The sizes that every part of the model reads.
  struct Sizes {
    var hidden: Int
    var heads: Int
    var layers: Int
    var feedForward: Int
    var epsilon: Double
    var vocabulary: Int
    var activation: ActivationFunction
    var headDim: Int { hidden / heads }
  }

  func sizes(_ config: ConfigurationReader) throws(FormatError) -> Sizes {
    let sizes = Sizes(
      hidden: try config.count("hidden_size", default: 768),
      heads: try config.count("num_attention_heads", default: 12),
      layers: try config.count("num_hidden_layers", default: 12),
      feedForward: try config.count("intermediate_size", default: 3072),
      epsilon: try config.positiveNumber("layer_norm_eps", default: 1e-12),
      vocabulary: try config.rows("vocab_size", default: 30522),
      activation: try ActivationFunction(config, key: "hidden_act", default: "gelu"))
    guard sizes.hidden % sizes.heads == 0 else {
      throw FormatError(
        .configurationValue, file: config.file, subject: .key("num_attention_heads"),
        expected: "a divisor of hidden_size \(sizes.hidden)", found: "\(sizes.heads)")
    }
    try config.refuse("is_decoder", because: "only encoders are described")
    try config.refuse("add_cross_attention")
    let positions = try config.text("position_embedding_type", default: "absolute")
    guard positions == "absolute" else {
      throw FormatError(
        .unsupportedConfiguration, file: config.file, subject: .key("position_embedding_type"),
        expected: "\"absolute\"",
        found: "\"\(positions)\"")
    }
    return sizes
  }

  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription] {
    let sizes = try sizes(config)
    let ids = builder.tokenInput("input_ids")
    let attentionMask = builder.tokenInput("attention_mask", derivedBy: .ones)
    var x = try embeddings(config, sizes, ids, &builder)
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
      let name = "encoder.layer.\(index)"
      let hidden = "\(sizes.hidden)"
      let stored = try builder.blockCount(
        "\(name).attention.self.query.weight", axis: 0, block: sizes.headDim, expected: ["heads", hidden])
      if stored != heads.count { heads = Array(0..<stored) }
      feedForward = try builder.blockCount(
        "\(name).intermediate.dense.weight", axis: 0, block: 1, expected: ["neurons", hidden])
    }
    let summary = LayerSummary(
      index: index, heads: heads.count, keyValueHeads: heads.count, headDim: sizes.headDim, feedForward: feedForward)
    return LayerDescription(summary: summary, originalHeads: heads)
  }

  private func embeddings(
    _ config: ConfigurationReader, _ sizes: Sizes, _ ids: ValueID, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    builder.scope = "embeddings"
    let places = try config.rows("max_position_embeddings", default: 512)
    let types = try config.rows("type_vocab_size", default: 2)
    let word = try builder.parameter("embeddings.word_embeddings.weight", [sizes.vocabulary, sizes.hidden])
    let type = try builder.parameter("embeddings.token_type_embeddings.weight", [types, sizes.hidden])
    let position = try builder.parameter("embeddings.position_embeddings.weight", [places, sizes.hidden])
    let typeIDs = builder.tokenInput("token_type_ids", derivedBy: .zeros)
    let words = try builder.add("Gather", [word, ids])
    var x = try builder.add("Add", [words, builder.add("Gather", [type, typeIDs])])
    let positionIDs =
      countsPositionsFromPadding
      ? try countedPositions(config, ids, &builder) : builder.tokenInput("position_ids", derivedBy: .ascending)
    x = try builder.add("Add", [x, builder.add("Gather", [position, positionIDs])])
    return try builder.layerNorm(x, "embeddings.LayerNorm", width: sizes.hidden, epsilon: sizes.epsilon)
  }

  /// Positions of RoBERTa: padding tokens have the padding token's number, the others count on from it.
  private func countedPositions(
    _ config: ConfigurationReader, _ ids: ValueID, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let padding = try config.optionalInteger("pad_token_id", in: 0...(1 << 28)) ?? 1
    let isPadding = try builder.add("Equal", [ids, builder.integerScalar(padding)])
    let isToken = try builder.add("Cast", [builder.add("Not", [isPadding])], ["to": .onnxType(.i64)])
    let counted = try builder.add("CumSum", [isToken, builder.integerScalar(1)])
    return try builder.add("Add", [builder.add("Mul", [counted, isToken]), builder.integerScalar(padding)])
  }

  private func encoderLayer(
    _ input: ValueID, _ mask: ValueID, _ layer: LayerSummary, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let name = "encoder.layer.\(layer.index)"
    let width = layer.heads * layer.headDim
    builder.scope = "\(name).attention.self"
    var parts: [ValueID] = []
    for part in ["query", "key", "value"] {
      let projected = try builder.linear(input, "\(name).attention.self.\(part)", outputs: width, inputs: sizes.hidden)
      let split = try builder.withHeadAxis(projected, heads: layer.heads, headDim: layer.headDim)
      parts.append(try builder.exchangingSequenceAndHeads(split))
    }
    var x = try builder.attention(
      parts[0], parts[1], parts[2], mask: mask, scale: 1 / Double(layer.headDim).squareRoot(), isCausal: false,
      width: width)
    builder.scope = "\(name).attention.output"
    x = try builder.linear(x, "\(name).attention.output.dense", outputs: sizes.hidden, inputs: width)
    x = try builder.add("Add", [x, input])
    let attended = try builder.layerNorm(
      x, "\(name).attention.output.LayerNorm", width: sizes.hidden, epsilon: sizes.epsilon)
    builder.scope = "\(name).intermediate"
    x = try builder.linear(
      attended, "\(name).intermediate.dense", outputs: layer.feedForward, inputs: sizes.hidden)
    x = try builder.activation(x, sizes.activation)
    builder.scope = "\(name).output"
    x = try builder.linear(x, "\(name).output.dense", outputs: sizes.hidden, inputs: layer.feedForward)
    x = try builder.add("Add", [x, attended])
    return try builder.layerNorm(x, "\(name).output.LayerNorm", width: sizes.hidden, epsilon: sizes.epsilon)
  }

  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue {
    try change.refuseCarriers()
    var editor = ConfigurationEditor(change.config)
    let config = try ConfigurationReader(change.config, file: change.file)
    try editor.setPrunedHeads(change, heads: config.count("num_attention_heads", default: 12))
    if change.changesFeedForward { editor.set("intermediate_size", change.feedForward) }
    return editor.config
  }

  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules {
    .prunedHeads(config, layers: layers, feedForwardKey: "intermediate_size")
  }
}
