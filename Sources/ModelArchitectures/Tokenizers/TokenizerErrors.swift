import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// There is no vocabulary beside the weights.
  public static let missingTokenizer = Self("missingTokenizer", "the model has no tokenizer")
  /// A tokenizer file does not hold what its format asks for.
  public static let malformedTokenizer = Self("malformedTokenizer", "the tokenizer file is malformed")
  /// The tokenizer is of a kind that the target format has no place for.
  public static let unsupportedTokenizer = Self("unsupportedTokenizer", "this kind of tokenizer is not supported")
  /// The tokenizer splits text in a way that has no name in GGUF.
  public static let unknownPreTokenizer = Self(
    "unknownPreTokenizer", "GGUF has no name for the way this tokenizer splits text")
  /// The tokenizer and the configuration disagree on the number of tokens.
  public static let vocabularyMismatch = Self("vocabularyMismatch", "the vocabulary does not fit the model")
}
