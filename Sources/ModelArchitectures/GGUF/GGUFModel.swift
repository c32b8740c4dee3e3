import CheckpointFormats
import PollardBase
import TensorStorage

/// What a GGUF file says: its keys, and its tensors as stored bytes.
public struct GGUFModel: Sendable {
  /// One tensor.
  public struct Tensor: Sendable {
    /// The name.
    public var name: String
    /// The type.
    public var type: GGUFTensorType
    /// The extents of the elements, outermost first.
    public var shape: Shape
    /// The bytes to store: elements of a plain type in `shape`, or packed blocks `[rows…, blocksPerRow, bytesPerBlock]`.
    public var weight: Weight

    /// Creates a tensor.
    public init(name: String, type: GGUFTensorType, shape: Shape, weight: Weight) {
      self.name = name
      self.type = type
      self.shape = shape
      self.weight = weight
    }

    /// The numbers that the bytes stand for.
    public var values: Weight {
      if let format = type.blockFormat { weight.dequantized(from: format) } else { weight }
    }
  }

  /// A tensor whose packed blocks are rounded anew, because a cut went through blocks or the type changed.
  public struct Requantization: Sendable, Hashable {
    /// The tensor.
    public var tensor: String
    /// The type that it was stored in.
    public var from: GGUFTensorType
    /// The type that it is written in.
    public var to: GGUFTensorType

    /// Creates an entry.
    public init(tensor: String, from: GGUFTensorType, to: GGUFTensorType) {
      self.tensor = tensor
      self.from = from
      self.to = to
    }
  }

  /// The keys and values in order.
  public var metadata: GGUFMetadata
  /// The tensors in order.
  public var tensors: [Tensor]
  /// The tensors that are rounded anew.
  public var requantizations: [Requantization] = []
  /// Sentences about what differs from the original and is no loss to hide.
  public var notes: [String] = []

  /// Creates a model.
  public init(metadata: GGUFMetadata, tensors: [Tensor]) {
    self.metadata = metadata
    self.tensors = tensors
  }
}
