import ModelGraph
import TensorStorage

/// A stored parameter and the initializer that stands for it in the graph.
public struct TensorBinding: Sendable {
  /// The tensor's name as stored; the plain name for a prune pair.
  public let tensor: String
  /// The initializer's value in the imported graph.
  public let value: ValueID
  /// The initializer's name, which passes over the graph keep.
  public let initializer: String
  /// Whether the initializer is the stored matrix with its axes exchanged.
  public let isTransposed: Bool
  /// The element type on disk; the initializer's is F32.
  public let storedType: ElementType
  /// The extents on disk.
  public let storedShape: Shape
  /// What the initializer's elements have in addition to the stored ones, as the factors of Gemma's norms do.
  public internal(set) var addend: Float = 0
  /// The row of the initializer that the tensor is; nil for the whole of it.
  public internal(set) var row: Int?
  /// Names of further initializers over the same stored tensor, as a tied output matrix is.
  public internal(set) var tiedInitializers: [String] = []
  /// The place among the checkpoint's tensors.
  let position: Int
}

/// A stored tensor that the graph does not read; exported as it is.
public struct PassedThroughTensor: Sendable {
  /// Why the graph does not read a tensor.
  public enum Reason: Sendable, Hashable {
    /// A buffer of an old release, such as `position_ids`.
    case buffer
    /// A parameter that another class of the family reads, such as the pooler beside a masked language model.
    case unused
    /// An equal copy of a tensor that the graph reads in its place.
    case copy(of: String)
  }

  /// The name as stored.
  public let name: String
  /// The content.
  public let weight: Weight
  /// Why the graph does not read it.
  public let reason: Reason
  /// The place among the checkpoint's tensors.
  let position: Int
}
