/// Something that takes bytes at given offsets, in any order and from any thread: a file that is being written.
///
/// Ranges written by different calls never overlap, so an implementation needs no lock around a positional write.
public protocol PositionalOutput: Sendable {
  /// Stores all bytes of a buffer from an offset on.
  ///
  /// - Throws: `cannotWrite` or `diskFull` when the system refuses.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FormatError)
}
