import PollardBase
import TensorStorage

/// A tensor of a checkpoint under the name that its file gives it.
public struct NamedTensor: Sendable {
  /// The name as stored.
  public var name: String
  /// The content, still on disk.
  public var weight: Weight
  /// The file that holds it, relative to the checkpoint's folder; nil when there is only one.
  public var file: String?
  /// The two stored tensors that this one was made from; nil for a tensor stored as it is.
  public internal(set) var prunePair: PrunePair?

  /// Creates a tensor.
  public init(name: String, weight: Weight, file: String? = nil) {
    self.name = name
    self.weight = weight
    self.file = file
  }
}
