import GraphCompaction
import ModelArchitectures
import PollardBase

/// What became of a model's residual channels, and the model that had them all.
package struct Narrowing: Sendable {
  /// The channels.
  var plan: WidthPlan
  /// The model before.
  var whole: any StoredModel
  /// What values of the narrow graph are multiplied by to be the whole one's, by the names of taps; the others are equal.
  var tapFactors: [String: Double] = [:]
  /// Whether the model is what it was, because no channel goes and none is declared off.
  var isIdentity: Bool
}

/// What a narrowing may do.
public struct WidthOptions: Sendable, Hashable {
  /// Over which channels the norms of the masked model run; nil for what the mask file says, else over all.
  public var norm: HiddenNorm?
  /// The number of channels is filled up to a multiple of this.
  public var roundTo: Int
  /// The loader the result must open in; nil for any, so that each rule is obeyed.
  public var loader: String?
  /// The format the result is written in; nil for the input's own.
  public var format: ModelFormat?
  /// Whether channels that asked to go may stay as fill.
  public var allowsPadding: Bool

  /// Creates options; the defaults are the command line's.
  public init(
    norm: HiddenNorm? = nil, roundTo: Int = 1, loader: String? = nil, format: ModelFormat? = nil,
    allowsPadding: Bool = true
  ) {
    self.norm = norm
    self.format = format
    self.roundTo = roundTo
    self.loader = loader
    self.allowsPadding = allowsPadding
  }
}

extension WidthPlan {
  /// What reports say: `hidden channels: 64 -> 48, …`.
  var text: String {
    let dead = units.removed.count { $0.reason == .dead }
    let how =
      switch rewrite {
      case .norms: "norms × √(d/d'), their ε × d/d'"
      case .writers: "writers × √(d'/d), norms × √(d/d'), ε unchanged"
      case .none: norm == .kept ? "norms over the kept channels, nothing compensated" : "nothing to compensate"
      }
    return "  hidden channels: \(units.before) -> \(units.after), \(units.removed.count) removed (\(dead) proved dead, "
      + "\(units.removed.count - dead) declared by the mask), \(units.padded.count) kept as fill; rescaled: \(how)"
  }

  /// What reports and receipts hold, beside the units.
  var facts: [(key: String, value: JSONValue)] {
    [
      ("class", "rescaled"), ("norm", JSONValue(norm.rawValue)), ("rewrite", JSONValue(rewrite.rawValue)),
    ]
  }

  /// The entry `hidden` of a report.
  var json: JSONValue {
    func list(_ values: [Int]) -> JSONValue { .array(values.map { JSONValue($0) }) }
    let dead = units.removed.count { $0.reason == .dead }
    var object: JSONObject = [
      "before": JSONValue(units.before), "after": JSONValue(units.after), "kept": list(units.kept),
      "padded": list(units.padded), "dead": JSONValue(dead), "declared": JSONValue(units.removed.count - dead),
      "void": list(units.void),
    ]
    for (key, value) in facts { object.set(key, to: value) }
    return .object(object)
  }
}
