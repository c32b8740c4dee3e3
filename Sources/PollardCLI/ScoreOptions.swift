import ArgumentParser
import Pollard

/// What is said of mask scores that a checkpoint of movement pruning stores beside its weights.
struct ScoreOptions: ParsableArguments {
  @Option(
    name: .long,
    help:
      "From where on mask_scores in the checkpoint keep a weight: the fraction kept, or under value and sigmoid a number."
  )
  var threshold: Double?

  @Option(
    name: .customLong("threshold-rule"),
    help: "How mask_scores decide: topk, global-topk, value, sigmoid, magnitude or l0 (default: as config.json says).")
  var thresholdRule: String?

  /// The request that the options make.
  func request() throws -> ScoreRequest {
    let rule = try thresholdRule.map { name in
      guard let rule = ScoreRule(rawValue: name) else {
        throw UsageError(
          description:
            "--threshold-rule takes \(ScoreRule.allCases.map(\.rawValue).joined(separator: ", ")), not \(name)")
      }
      return rule
    }
    return ScoreRequest(threshold: threshold, rule: rule)
  }
}
