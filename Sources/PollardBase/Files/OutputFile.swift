#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import Synchronization

/// A file that is being written: by position, from any number of threads at once.
///
/// Every few megabytes the kernel is asked to begin writing to the device, so `finish()`, which waits until every byte is
/// durable, has little left to wait for. An `AtomicFile` or `AtomicDirectory` gives the file its name in the end.
public final class OutputFile: Sendable {
  /// The path that messages name: where the file will be, not where it is being written.
  public let path: String
  private let descriptor: Int32
  private let unflushed = Atomic<Int>(0)
  private let isOpen = Atomic<Bool>(true)

  /// Bytes between two requests to begin writing back.
  private static let flushInterval = 16 << 20

  /// Creates a file that must not exist yet.
  package init(creating location: String, shownAs path: String, mode: mode_t = 0o666) throws(FormatError) {
    let descriptor = open(location, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    guard descriptor >= 0 else { throw writeFailure(path, errno) }
    self.path = path
    self.descriptor = descriptor
  }

  deinit { closeOnce() }

  /// Writes bytes at a position of the file, which grows when it must.
  ///
  /// Concurrent calls may not overlap. Calling it after `finish()` is a programmer's error.
  ///
  /// - Throws: `diskFull` or `cannotWrite`, with the position.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FormatError) {
    precondition(isOpen.load(ordering: .relaxed), "the output file is finished")
    precondition(offset >= 0, "offsets are never negative")
    guard let base = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      let count = pwrite(descriptor, base + done, min(bytes.count - done, 1 << 30), off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw writeFailure(path, errno, at: offset + done)
      }
      done += count
    }
    noteWritten(bytes.count)
  }

  /// Writes an array of bytes at a position.
  public func write(_ bytes: [UInt8], at offset: Int = 0) throws(FormatError) {
    var failure: FormatError?
    bytes.withUnsafeBytes { buffer in
      do throws(FormatError) { try write(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Gives the file its final size and reserves the room for it, so that a device that is too small is noticed now.
  ///
  /// - Throws: `diskFull` or `cannotWrite`.
  public func preallocate(_ size: Int) throws(FormatError) {
    guard size > 0 else { return }
    switch SystemCalls.reserve(descriptor, size: size) {
    case 0?: return
    case nil:
      guard ftruncate(descriptor, off_t(size)) == 0 else { throw writeFailure(path, errno) }
    default: throw writeFailure(path, errno)
    }
  }

  /// Copies bytes of another file to a position of this one, inside the kernel where it can.
  ///
  /// - Throws: `truncated` or `cannotRead` for the source, `diskFull` or `cannotWrite` for this file.
  public func copy(from source: FileSource, range: Range<Int>, at offset: Int) throws(FormatError) {
    var done = 0
    while done < range.count {
      let count = min(range.count - done, Self.flushInterval)
      let copied = SystemCalls.copyRange(
        from: source.descriptor, at: range.lowerBound + done, to: descriptor, at: offset + done, count: count)
      guard let copied else { break }
      if copied < 0 {
        if errno == EINTR { continue }
        throw writeFailure(path, errno, at: offset + done)
      }
      if copied == 0 { break }
      noteWritten(copied)
      done += copied
    }
    while done < range.count {
      let start = range.lowerBound + done
      let chunk = try source.bytes(start..<start + min(range.count - done, 4 << 20))
      try write(chunk, at: offset + done)
      done += chunk.count
    }
  }

  /// Waits until every byte is on the device, and closes the file. Further calls do nothing.
  ///
  /// - Throws: `diskFull` or `cannotWrite`.
  public func finish() throws(FormatError) {
    guard isOpen.load(ordering: .relaxed) else { return }
    while fsync(descriptor) != 0 {
      // Pipes and special files have nothing to synchronize.
      if errno == EINVAL || errno == ENOTSUP { break }
      if errno != EINTR { throw writeFailure(path, errno) }
    }
    closeOnce()
  }

  /// Gives the file the permission bits of another.
  package func setMode(_ mode: mode_t) { _ = fchmod(descriptor, mode & 0o777) }

  /// Holds an advisory lock on the file until it is closed or the process ends.
  package func lock() { _ = flock(descriptor, LOCK_EX | LOCK_NB) }

  /// Closes the file without waiting for the device.
  package func closeOnce() {
    if isOpen.exchange(false, ordering: .acquiringAndReleasing) { close(descriptor) }
  }

  private func noteWritten(_ count: Int) {
    let (before, total) = unflushed.add(count, ordering: .relaxed)
    if before / Self.flushInterval != total / Self.flushInterval { SystemCalls.startWriteBack(descriptor) }
  }
}

extension OutputFile: PositionalOutput {}
