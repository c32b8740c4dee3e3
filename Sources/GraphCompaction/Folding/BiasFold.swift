import ModelGraph
import TensorStorage

/// What the result of one product is given for units that contribute the same for every token and go.
///
///     bias' = bias + Σ W[:, position] · constant     over the positions of the units, ascending, in double precision,
///
/// rounded once to the type that the bias is stored in.
public struct BiasFold: Sendable, Hashable {
  /// Where the sum goes.
  public enum Place: Sendable, Hashable {
    /// Into a constant operand that is added to the product already.
    case operand(NodeSlot)
    /// Into a new addition after the product.
    case addition
  }

  /// The index of the product in the graph that the plan was made for.
  public var node: Int
  /// Where the sum goes.
  public var place: Place
  /// The bias afterwards: the operand's new content, or what is added; in the operand's type, or the product's.
  public var bias: Weight
}

/// Why the constants of some units cannot be folded.
public enum FoldObstacle: Sendable, Hashable {
  /// Nothing is added to what the product gives, and nothing can be.
  case noBias
  /// The bias that is added is added elsewhere too, and each tensor of the format has one name.
  case sharedBias
  /// The units are summed over by something else than a product with a stored matrix.
  case otherSum(String)
  /// The bias is not a floating-point vector over the last axis.
  case otherBias
  /// Packed units leave in whole blocks only.
  case packed

  /// The reason, as the end of a sentence.
  public var text: String {
    switch self {
    case .noBias: "nothing adds a bias to what the matrix that reads them gives"
    case .sharedBias: "the bias that would take them is used at another place too"
    case .otherSum(let name): "they are summed over by \(name), not by a product with a stored matrix and a bias"
    case .otherBias: "what is added to the sum over them is no vector of floating-point numbers"
    case .packed: "their weights are packed in blocks"
    }
  }
}
