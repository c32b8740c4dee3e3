#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file opened for reading, shared by everything that reads from it.
///
/// Bytes are read with `pread` into buffers of the caller, from any thread, without moving a shared position and without
/// mapping: a file that shrinks while it is read gives an error, never a fault. The descriptor closes with the last reference.
public final class FileSource: Sendable {
  /// The path as the caller gave it.
  public let path: String
  /// The file's length in bytes when it was opened.
  public let size: Int
  /// Device and inode, equal for two sources of the same file.
  public let identity: FileIdentity
  /// The permission bits.
  let mode: mode_t
  /// The open file, for copies inside the kernel.
  let descriptor: Int32

  /// Opens a regular file.
  ///
  /// - Throws: `cannotOpen` when the path does not name a readable regular file.
  public init(path: String) throws(FormatError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw FormatError(.cannotOpen, file: path, found: systemErrorText(errno))
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, let size = Int(exactly: status.st_size)
    else {
      close(descriptor)
      throw FormatError(.cannotOpen, file: path, expected: "a regular file", found: "something else")
    }
    self.path = path
    self.size = size
    self.identity = FileIdentity(device: UInt64(truncatingIfNeeded: status.st_dev), inode: UInt64(status.st_ino))
    self.mode = status.st_mode & 0o777
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Fills a buffer with the bytes that start at an offset.
  ///
  /// - Throws: `truncated` when the file ends first, `cannotRead` when the system refuses.
  public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FormatError) {
    guard let base = buffer.baseAddress else { return }
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, base + done, min(buffer.count - done, 1 << 30), off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw FormatError(.cannotRead, file: path, at: .byte(offset + done), found: systemErrorText(errno))
      }
      if count == 0 {
        throw FormatError(
          .truncated, file: path, at: .byte(offset + done), expected: "\(buffer.count - done) more bytes",
          found: "the end of the file")
      }
      done += count
    }
  }

  /// The bytes of a range, which must lie inside the file.
  ///
  /// - Throws: `truncated` when the range reaches past the end; nothing is allocated then.
  public func bytes(_ range: Range<Int>) throws(FormatError) -> [UInt8] {
    guard range.lowerBound >= 0, range.upperBound <= size else {
      throw FormatError(
        .truncated, file: path, at: .byte(range.lowerBound), expected: "\(range.count) bytes",
        found: "a file of \(size) bytes")
    }
    var failure: FormatError?
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      do throws(FormatError) {
        try read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
        count = range.count
      } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }
}

/// Device and inode of a file: two paths with equal identities name the same bytes.
public struct FileIdentity: Sendable, Hashable {
  /// The device's number.
  public let device: UInt64
  /// The file's number on its device.
  public let inode: UInt64
}

/// The operating system's own words for an error number, with its number.
package func systemErrorText(_ number: Int32) -> String {
  guard let text = strerror(number) else { return "system error \(number)" }
  return "\(String(cString: text)) (errno \(number))"
}
