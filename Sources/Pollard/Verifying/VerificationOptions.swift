import GraphCompaction
import GraphExecution

/// The arithmetic of a run.
public enum RunPrecision: String, Sendable, Hashable, CaseIterable {
  /// Single precision, bit for bit as the order of summation says.
  case single = "f32"
  /// Double precision, for comparisons where rounding is in the way: slower, and constants stay as the model has them.
  case double = "f64"

  var computing: ComputingPrecision { self == .double ? .double : .declared }
}

/// How two models are run against each other.
public struct VerificationOptions: Sendable, Hashable {
  /// A safetensors file with inputs; nil for random tokens.
  public var inputs: String?
  /// Sequences of random tokens.
  public var batch: Int
  /// Tokens in each.
  public var length: Int
  /// The seed of random tokens.
  public var seed: UInt64
  /// The largest difference that counts as equal, relative to the largest magnitude of each value; 0 asks for the same bits. Nil asks for
  /// them wherever nothing was rounded, and else for the usual tolerance of the types.
  public var tolerance: Double?
  /// The arithmetic of both runs.
  public var precision: RunPrecision
  /// Over which channels the norms of a model masked by channels run; nil for what the mask file says, else over all.
  public var hiddenNorm: HiddenNorm?

  /// Creates options; the defaults are the command line's.
  public init(
    inputs: String? = nil, batch: Int = 2, length: Int = 16, seed: UInt64 = 0, tolerance: Double? = nil,
    precision: RunPrecision = .single
  ) {
    self.inputs = inputs
    self.batch = batch
    self.length = length
    self.seed = seed
    self.tolerance = tolerance
    self.precision = precision
  }
}
