import PollardBase

extension TokenLimits {
  /// What a configuration admits.
  init(configuration config: JSONValue, _ modelType: String) {
    var positions = config["max_position_embeddings"]?.intValue ?? config["n_positions"]?.intValue
    if modelType.contains("roberta"), let all = positions {
      // Positions count from the one after the padding token's number.
      let (used, overflow) = all.subtractingReportingOverflow(config["pad_token_id"]?.intValue ?? 1)
      positions = overflow ? nil : max(1, used - 1)
    }
    self.init(
      vocabulary: config["vocab_size"]?.intValue, positions: positions, types: config["type_vocab_size"]?.intValue)
  }
}
