import PollardBase

/// The bytes that ONNX messages are read from: a file that stays on disk, or an array.
///
/// Messages, names aside, refer to ranges of it, so a tensor's data is never copied when a model is opened.
public final class ONNXBytes: Sendable {
  /// Where the bytes are.
  public enum Storage: Sendable {
    /// In a file, read by position.
    case file(FileSource)
    /// In memory.
    case memory([UInt8])
  }

  /// Where the bytes are.
  public let storage: Storage
  /// How many there are.
  public let count: Int

  /// The bytes of a file.
  public init(_ file: FileSource) {
    storage = .file(file)
    count = file.size
  }

  /// Bytes in memory.
  public init(_ bytes: [UInt8]) {
    storage = .memory(bytes)
    count = bytes.count
  }

  /// The path of the file, for messages.
  public var path: String? {
    if case .file(let file) = storage { file.path } else { nil }
  }

  /// A copy of a range.
  ///
  /// - Throws: `truncated` when the range reaches past the end, `cannotRead` when the system refuses.
  public func bytes(_ range: Range<Int>) throws(FormatError) -> [UInt8] {
    switch storage {
    case .file(let file): return try file.bytes(range)
    case .memory(let bytes):
      guard range.lowerBound >= 0, range.upperBound <= bytes.count else {
        throw FormatError(.truncated, at: .byte(range.lowerBound), expected: "\(range.count) bytes")
      }
      return Array(bytes[range])
    }
  }

  /// Fills a buffer from an offset on.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FormatError) {
    switch storage {
    case .file(let file): try file.read(into: buffer, at: offset)
    case .memory(let bytes):
      guard offset >= 0, buffer.count <= bytes.count, offset <= bytes.count - buffer.count else {
        throw FormatError(.truncated, at: .byte(offset), expected: "\(buffer.count) bytes")
      }
      bytes.withUnsafeBytes {
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
      }
    }
  }
}

/// A range of the bytes that a model was read from.
public struct ONNXSlice: Sendable {
  /// What the range is of.
  public let source: ONNXBytes
  /// The range.
  public let range: Range<Int>

  /// Creates a slice; the range lies inside the source.
  public init(_ source: ONNXBytes, _ range: Range<Int>) {
    self.source = source
    self.range = range
  }

  /// The number of bytes.
  public var count: Int { range.count }

  /// A copy of the bytes.
  public func bytes() throws(FormatError) -> [UInt8] { try source.bytes(range) }
}
