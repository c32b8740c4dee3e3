import PollardBase

/// How the scores that movement pruning learns become a mask.
///
/// | rule | a weight stays when | threshold |
/// |------|---------------------|-----------|
/// | `topk` | its score is among the largest ⌊τ·n⌋ of its matrix | fraction kept, 0 to 1 |
/// | `global-topk` | its score is above the (n − ⌊τ·n⌋ − 1)-th smallest of all matrices together | fraction kept, 0 to 1 |
/// | `value` | its score is above τ | any number |
/// | `sigmoid` | σ(score) is above τ | 0 to 1 |
/// | `magnitude` | its own magnitude is among the largest ⌊τ·n⌋ of its matrix | fraction kept, 0 to 1 |
/// | `l0` | always; it is multiplied by σ(score)·1.2 − 0.1, held between 0 and 1 | none |
///
/// - Source: Sanh, Wolf & Rush 2020, and the binarizers of their code.
public enum ScoreRule: String, Sendable, Hashable, CaseIterable {
  case topk
  case globalTopk = "global-topk"
  case value
  case sigmoid
  case magnitude
  case l0

  /// The rule that `pruning_method` of a configuration names, in that code's spelling; nil for another name.
  init?(pruningMethod: String) {
    switch pruningMethod {
    case "topK": self = .topk
    case "threshold": self = .value
    case "sigmoied_threshold": self = .sigmoid
    case "magnitude": self = .magnitude
    case "l0": self = .l0
    default: return nil
    }
  }

  /// The rule in words.
  func phrase(_ threshold: Double) -> String {
    switch self {
    case .topk: "the largest \(threshold) of each matrix's scores stay"
    case .globalTopk: "the largest \(threshold) of all scores stay"
    case .value: "scores above \(threshold) stay"
    case .sigmoid: "scores whose sigmoid is above \(threshold) stay"
    case .magnitude: "the largest \(threshold) of each matrix's magnitudes stay"
    case .l0: "each weight is multiplied by its gate"
    }
  }

  /// The thresholds that make sense.
  var thresholds: ClosedRange<Double> {
    self == .value ? -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude : 0...1
  }
}

/// What a caller says about scores that are stored with the weights; what is left out is taken from the checkpoint's own files.
public struct ScoreRequest: Sendable, Hashable {
  /// The threshold; what it means depends on the rule.
  public var threshold: Double?
  /// The rule.
  public var rule: ScoreRule?
  /// Whether a checkpoint whose threshold nobody gives is read with all its weights, to look at its structure only.
  package var allowsUndecided = false

  /// Creates a request.
  public init(threshold: Double? = nil, rule: ScoreRule? = nil) {
    self.threshold = threshold
    self.rule = rule
  }

  /// Whether nothing is said.
  public var isEmpty: Bool { threshold == nil && rule == nil }
}

extension DiagnosticCode where Domain == FormatDomain {
  /// Mask scores are stored, and nobody says from where on they keep.
  public static let thresholdMissing = Self("thresholdMissing", "mask scores decide nothing without a threshold")
  /// The threshold has no meaning under the rule.
  public static let thresholdValue = Self("thresholdValue", "the threshold cannot be used")
  /// Mask scores cannot be read as such.
  public static let maskScores = Self("maskScores", "the mask scores cannot be used")
}
