import ModelGraph
import PollardBase

extension BertArchitecture {
  /// Builds what follows the encoder, and declares the outputs.
  func head(
    _ task: ModelTask, _ x: ValueID, _ config: ConfigurationReader, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) {
    let hidden = sizes.hidden
    switch task {
    case .base:
      builder.output("last_hidden_state", x)
      if builder.has("pooler.dense.weight") { builder.output("pooler_output", try pooled(x, hidden, &builder)) }
    case .maskedLanguageModel:
      builder.output("logits", try languageModel(x, config, sizes, &builder))
    case .preTraining:
      builder.output("prediction_logits", try languageModel(x, config, sizes, &builder))
      builder.output("seq_relationship_logits", try nextSentence(x, hidden, &builder))
    case .nextSentencePrediction:
      builder.output("logits", try nextSentence(x, hidden, &builder))
    case .sequenceClassification:
      builder.output("logits", try sequenceClassifier(x, config, hidden, &builder))
    case .tokenClassification:
      builder.scope = "classifier"
      let labels = try builder.labelCount("classifier.weight", inputs: hidden)
      builder.output("logits", try builder.linear(x, "classifier", outputs: labels, inputs: hidden))
    case .questionAnswering:
      builder.scope = "qa_outputs"
      try builder.answerOutputs(builder.linear(x, "qa_outputs", outputs: 2, inputs: hidden))
    case .causalLanguageModel, .conditionalGeneration, .encoder:
      throw FormatError(.unsupportedClass, file: config.file, expected: "an encoder", found: className(task))
    }
  }

  private func pooled(_ x: ValueID, _ hidden: Int, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
    builder.scope = "pooler"
    let dense = try builder.linear(builder.firstToken(x), "pooler.dense", outputs: hidden, inputs: hidden)
    return try builder.add("Tanh", [dense])
  }

  private func nextSentence(_ x: ValueID, _ hidden: Int, _ builder: inout ModelBuilder) throws(FormatError) -> ValueID {
    let pooled = try pooled(x, hidden, &builder)
    builder.scope = "cls.seq_relationship"
    return try builder.linear(pooled, "cls.seq_relationship", outputs: 2, inputs: hidden)
  }

  private func languageModel(
    _ x: ValueID, _ config: ConfigurationReader, _ sizes: Sizes, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    let hidden = sizes.hidden
    let isTied = try config.flag("tie_word_embeddings", default: true)
    let name = isRoberta ? "lm_head" : "cls.predictions"
    builder.scope = name
    let dense = try builder.linear(
      x, isRoberta ? "lm_head.dense" : "cls.predictions.transform.dense", outputs: hidden, inputs: hidden)
    let activated = try builder.activation(dense, isRoberta ? .gelu : sizes.activation)
    let normalised = try builder.layerNorm(
      activated, isRoberta ? "lm_head.layer_norm" : "cls.predictions.transform.LayerNorm", width: hidden,
      epsilon: sizes.epsilon)
    let matrix = try builder.outputMatrix(
      "\(name).decoder.weight", tiedTo: "embeddings.word_embeddings.weight", isTied: isTied, outputs: sizes.vocabulary,
      inputs: hidden)
    let bias = try builder.bias(["\(name).bias", "\(name).decoder.bias"], sizes.vocabulary)
    return try builder.add("Add", [builder.add("MatMul", [normalised, matrix]), bias])
  }

  private func sequenceClassifier(
    _ x: ValueID, _ config: ConfigurationReader, _ hidden: Int, _ builder: inout ModelBuilder
  ) throws(FormatError) -> ValueID {
    if isRoberta {
      builder.scope = "classifier"
      let labels = try builder.labelCount("classifier.out_proj.weight", inputs: hidden)
      let dense = try builder.linear(builder.firstToken(x), "classifier.dense", outputs: hidden, inputs: hidden)
      return try builder.linear(
        builder.add("Tanh", [dense]), "classifier.out_proj", outputs: labels, inputs: hidden)
    }
    let pooled = try pooled(x, hidden, &builder)
    builder.scope = "classifier"
    let labels = try builder.labelCount("classifier.weight", inputs: hidden)
    return try builder.linear(pooled, "classifier", outputs: labels, inputs: hidden)
  }
}
