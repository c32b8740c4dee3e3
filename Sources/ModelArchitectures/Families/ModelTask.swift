/// What a model's head computes; decided by the class that the configuration names.
public enum ModelTask: String, Sendable, Hashable, CaseIterable {
  /// The encoder or decoder without a head: class names end in `Model`.
  case base
  /// Scores of every vocabulary entry at every place: `ForMaskedLM`.
  case maskedLanguageModel
  /// Scores of the next token: `ForCausalLM`, `LMHeadModel`.
  case causalLanguageModel
  /// Scores of classes for the sequence: `ForSequenceClassification`.
  case sequenceClassification
  /// Scores of classes for each token: `ForTokenClassification`.
  case tokenClassification
  /// Scores of the answer's first and last token: `ForQuestionAnswering`.
  case questionAnswering
  /// Masked language model and next-sentence scores: `ForPreTraining`.
  case preTraining
  /// Next-sentence scores: `ForNextSentencePrediction`.
  case nextSentencePrediction

  /// Scores of the next token of a text that answers another: `ForConditionalGeneration`.
  case conditionalGeneration
  /// The encoder of a model that has a decoder too: `EncoderModel`.
  case encoder

  /// How class names of the task end, after the family's own part.
  var classSuffix: String {
    switch self {
    case .base: "Model"
    case .maskedLanguageModel: "ForMaskedLM"
    case .causalLanguageModel: "ForCausalLM"
    case .sequenceClassification: "ForSequenceClassification"
    case .tokenClassification: "ForTokenClassification"
    case .questionAnswering: "ForQuestionAnswering"
    case .preTraining: "ForPreTraining"
    case .nextSentencePrediction: "ForNextSentencePrediction"
    case .conditionalGeneration: "ForConditionalGeneration"
    case .encoder: "EncoderModel"
    }
  }
}
