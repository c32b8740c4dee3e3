/// How far a verification has come.
public struct VerificationProgress: Sendable, Hashable {
  /// What is being done.
  public enum Stage: String, Sendable {
    /// The bytes of tensors are compared.
    case tensors
    /// The models run side by side.
    case run
    /// The operator at which they part is looked for.
    case search
  }

  /// Is called on the caller's thread, often.
  public typealias Handler = (VerificationProgress) -> Void

  /// What is being done.
  public var stage: Stage
  /// The share of the stage that is done, from 0 to 1.
  public var share: Double
  /// The layer that was compared last.
  public var layer: Int?

  /// Creates a state of progress.
  public init(stage: Stage, share: Double, layer: Int? = nil) {
    self.stage = stage
    self.share = share
    self.layer = layer
  }
}
