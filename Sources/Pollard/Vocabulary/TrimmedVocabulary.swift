import ModelArchitectures
import PollardBase

/// What became of a model's vocabulary.
public struct TrimmedVocabulary: Sendable {
  /// The tokens that stay.
  public var kept: KeptTokens
  /// How many stay for which reason; the first that applies counts. Empty where a receipt names them.
  public var reasons: [TokenReason: Int]
  /// The names of files beside the weights that were rewritten.
  public var files: [String]
  /// The names of files that could not be, and are left out.
  public var omittedFiles: [String]
  /// Things worth telling.
  public var notes: [String]
  /// The number of parameters before; tied storage counts once.
  var parametersBefore: Int

  /// What the report says of the claim.
  static let claim =
    "logits of the tokens that stay are equal; what the model says may differ where a removed token would have won"

  /// The value of `vocabulary` in reports.
  var json: JSONValue {
    var counts = JSONObject()
    for reason in TokenReason.allCases {
      if let count = reasons[reason] { counts.set(reason.rawValue, to: JSONValue(count)) }
    }
    return [
      "before": JSONValue(kept.before), "kept": JSONValue(kept.count), "reasons": .object(counts),
      "files": .array(files.map { JSONValue($0) }), "omitted_files": .array(omittedFiles.map { JSONValue($0) }),
      "claim": JSONValue(Self.claim),
    ]
  }

  /// The lines of the report that people read.
  var lines: [String] {
    let words: [TokenReason: String] = [
      .requested: "asked for", .special: "special or added", .configuration: "named in a configuration",
      .bytes: "for bytes", .merges: "merged into kept ones", .scores: "for the score of unknown text",
      .positions: "below the padding token",
    ]
    let parts = TokenReason.allCases.compactMap { reason in
      reasons[reason].flatMap { count in words[reason].map { "\(count) \($0)" } }
    }
    return [
      "  tokens: \(kept.before) before, \(kept.count) kept: " + parts.joined(separator: ", "),
      "  rewritten: " + (files.isEmpty ? "no file but config.json" : escapedForTerminal(files.joined(separator: ", "))),
      "  claim: " + Self.claim,
    ]
  }

  /// The value of `vocabulary` in receipts: ranges of kept ids, both ends included.
  var receipt: JSONValue {
    [
      "before": JSONValue(kept.before), "kept": JSONValue(kept.count),
      "ranges": .array(kept.ranges.map { [JSONValue($0.lowerBound), JSONValue($0.upperBound)] }),
    ]
  }
}
