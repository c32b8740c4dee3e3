import GraphCompaction
import GraphExecution
import ModelArchitectures
import PollardBase

/// Inputs for a run: tokens drawn from a seed, the last sequence padded on the right.
enum RandomInputs {
  /// More would not be run in reasonable time or memory.
  private static let tokenLimit = 1 << 24

  /// Inputs for a model, shortened to the positions it has.
  ///
  /// - Throws: `GraphError` when more tokens are asked for than can be held.
  static func make(for model: ImportedModel, options: VerificationOptions) throws(GraphError) -> [String: Tensor] {
    let config = model.config
    let vocabulary = max(1, config["vocab_size"]?.intValue ?? 1000)
    var limit = config["max_position_embeddings"]?.intValue ?? config["n_positions"]?.intValue ?? Int.max
    if model.modelType.contains("roberta") { limit -= (config["pad_token_id"]?.intValue ?? 1) + 1 }
    let length = max(1, min(options.length, limit))
    let (count, overflow) = options.batch.multipliedReportingOverflow(by: length)
    guard !overflow, count <= tokenLimit else {
      throw GraphError(
        .tooLarge, subject: .option("--batch, --length"), expected: "at most \(tokenLimit) tokens",
        found: "\(options.batch) sequences of \(length)")
    }
    var random = SplitMix64(state: options.seed)
    let tokens = (0..<count).map { _ in Int64(random.next() % UInt64(vocabulary)) }
    var mask = Array(repeating: Int64(1), count: count)
    if options.batch > 1 { for place in (count - length / 4)..<count { mask[place] = 0 } }
    return [
      "input_ids": Tensor(integers: tokens, extents: [options.batch, length]),
      "attention_mask": Tensor(integers: mask, extents: [options.batch, length]),
    ]
  }

  /// What ran, in words.
  static func phrase(_ inputs: [String: Tensor], options: VerificationOptions) -> String {
    let extents = inputs["input_ids"]?.extents ?? []
    let size = extents.count == 2 ? "\(extents[0]) sequences of \(extents[1]) tokens" : "given inputs"
    return options.inputs == nil ? "\(size), seed \(options.seed)" : "\(size) as given"
  }
}
