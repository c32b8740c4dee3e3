#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Asks the system for parts of files some way ahead of the one who reads them, on a thread of its own.
///
/// A hint: nothing depends on it, and it takes no memory of the process. The thread ends with the last reference.
package final class FileReadAhead: Sendable {
  /// A part of a file.
  package struct Part: Sendable {
    /// The file.
    package var file: FileSource
    /// The bytes, from the start of the file.
    package var range: Range<Int>

    /// Creates a part.
    package init(file: FileSource, range: Range<Int>) {
      self.file = file
      self.range = range
    }
  }

  private let walk: ReadAheadWalk
  private let handle: ThreadHandle

  /// Begins with the first part.
  ///
  /// - Parameters:
  ///   - parts: in the order in which they will be read.
  ///   - window: the bytes that are asked for beyond the part that is being read.
  package init(_ parts: [Part], window: Int) {
    walk = ReadAheadWalk(parts, window: window)
    #if os(Linux)
      var thread = pthread_t()
      let context = Unmanaged.passRetained(walk)
      let status = pthread_create(
        &thread, nil,
        { context in
          guard let context else { return nil }
          Unmanaged<ReadAheadWalk>.fromOpaque(context).takeRetainedValue().run()
          return nil
        }, context.toOpaque())
      if status != 0 { context.release() }
      handle = ThreadHandle(thread: status == 0 ? thread : nil)
    #else
      handle = ThreadHandle(thread: nil)
    #endif
  }

  deinit {
    guard let thread = handle.thread else { return }
    walk.stop()
    pthread_join(thread, nil)
  }

  /// Says which part is being read now.
  package func reached(_ part: Int) { walk.reached(part) }
}

/// A thread, which is a pointer on some systems.
private struct ThreadHandle: @unchecked Sendable {
  var thread: pthread_t?
}

/// The state that the reader and the thread share.
private final class ReadAheadWalk: Sendable {
  /// What one call to the system asks for: some systems look at the first megabytes of a request only.
  private static let step = 4 << 20

  private let parts: [FileReadAhead.Part]
  /// The bytes before each part, and those of all at the end.
  private let starts: [Int]
  private let window: Int
  private nonisolated(unsafe) let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private nonisolated(unsafe) let hasNews: UnsafeMutablePointer<pthread_cond_t>
  // Read and written under the mutex.
  private nonisolated(unsafe) var current = 0
  private nonisolated(unsafe) var isStopping = false

  init(_ parts: [FileReadAhead.Part], window: Int) {
    self.parts = parts
    self.window = window
    var starts = [0]
    for part in parts { starts.append(starts[starts.count - 1] &+ part.range.count) }
    self.starts = starts
    mutex = .allocate(capacity: 1)
    hasNews = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(hasNews, nil)
  }

  deinit {
    pthread_cond_destroy(hasNews)
    pthread_mutex_destroy(mutex)
    hasNews.deallocate()
    mutex.deallocate()
  }

  func reached(_ part: Int) {
    pthread_mutex_lock(mutex)
    current = max(current, part)
    pthread_cond_signal(hasNews)
    pthread_mutex_unlock(mutex)
  }

  func stop() {
    pthread_mutex_lock(mutex)
    isStopping = true
    pthread_cond_signal(hasNews)
    pthread_mutex_unlock(mutex)
  }

  func run() {
    var (part, offset) = (0, 0)
    while let now = wait(part, offset) {
      if part < now { (part, offset) = (now, 0) }
      let range = parts[part].range
      let count = min(Self.step, range.count - offset)
      parts[part].file.expectReading(range.lowerBound + offset..<range.lowerBound + offset + count)
      offset += count
      if offset >= range.count { (part, offset) = (part + 1, 0) }
    }
  }

  /// Waits until the reader is near enough to a place, and gives the part it reads; nil at the end.
  private func wait(_ part: Int, _ offset: Int) -> Int? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if isStopping || max(part, current) >= parts.count { return nil }
      if starts[part] + offset < starts[min(current + 1, parts.count)] + window { return current }
      pthread_cond_wait(hasNews, mutex)
    }
  }
}

extension FileSource {
  /// Tells the system that bytes will be read soon.
  fileprivate func expectReading(_ range: Range<Int>) {
    #if os(Linux)
      _ = posix_fadvise(descriptor, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_WILLNEED)
    #endif
  }
}
