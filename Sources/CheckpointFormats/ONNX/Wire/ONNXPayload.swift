import PollardBase
import TensorStorage

/// The bytes of a tensor's `raw_data`: where they are in a file, or what makes them when they are written.
public enum ONNXPayload: Sendable {
  /// Bytes of the file that the model was read from.
  case slice(ONNXSlice)
  /// Bytes in memory.
  case bytes([UInt8])
  /// A tensor that is evaluated when it is written.
  case weight(Weight)

  /// The number of bytes.
  public var count: Int {
    switch self {
    case .slice(let slice): slice.count
    case .bytes(let bytes): bytes.count
    case .weight(let weight): weight.byteCount
    }
  }

  /// The bytes.
  ///
  /// - Throws: what reading the sources throws.
  public func bytes() throws(FormatError) -> [UInt8] {
    switch self {
    case .slice(let slice): return try slice.bytes()
    case .bytes(let bytes): return bytes
    case .weight(let weight): return try weight.bytes()
    }
  }
}
