/// A file inside a zip archive, as the archive's central directory describes it.
public struct ZipEntry: Sendable, Hashable {
  /// How the bytes are packed.
  public enum Method: UInt16, Sendable, Hashable {
    /// Not at all.
    case stored = 0
    /// Raw deflate, RFC 1951.
    case deflated = 8
  }

  /// The name, with `/` between folders.
  public let name: String
  /// How the bytes are packed.
  public let method: Method
  /// CRC-32 of the unpacked bytes; 0 also where a writer was told not to compute it.
  public let checksum: UInt32
  /// The number of packed bytes.
  public let packedSize: Int
  /// The number of unpacked bytes.
  public let size: Int
  /// Where the entry's local header begins in the file.
  package let headerOffset: Int
  /// Where the next thing begins, at the latest: the end of what can be this entry's.
  package let limit: Int
}
