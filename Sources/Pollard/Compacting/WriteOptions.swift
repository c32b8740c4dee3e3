import CheckpointFormats
import PollardBase

/// How a checkpoint is written.
public struct WriteOptions: Sendable {
  /// The format; nil for the input's own.
  public var format: ModelFormat?
  /// The version of ONNX's operator set that is written; nil for the default.
  public var opset: Int?
  /// The most bytes of tensors per file; nil keeps the input's division into files.
  public var maxShardSize: ShardSize?
  /// Whether an existing output may be replaced.
  public var replacing: Bool
  /// Whether the result is verified before it is published.
  public var verifies: Bool
  /// Whether packed numbers may be rounded anew where a cut goes through their blocks.
  public var requantises: Bool

  /// Creates options; the default keeps the sharding, replaces nothing and verifies nothing.
  public init(
    format: ModelFormat? = nil, opset: Int? = nil, maxShardSize: ShardSize? = nil, replacing: Bool = false,
    verifies: Bool = false, requantises: Bool = false
  ) {
    self.format = format
    self.opset = opset
    self.maxShardSize = maxShardSize
    self.replacing = replacing
    self.verifies = verifies
    self.requantises = requantises
  }
}

/// A number of bytes as people write it: `5GB`, `500MB`, `2GiB`.
public struct ShardSize: Sendable, Hashable {
  /// The number of bytes.
  public let bytes: Int

  /// Nil for text that is not a positive size.
  public init?(_ text: String) {
    guard let bytes = try? byteSize(parsing: text) else { return nil }
    self.bytes = bytes
  }
}
