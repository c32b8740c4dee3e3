#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension FileSource {
  /// Asks the system to bring the file into its cache, in order, while the caller does something else.
  ///
  /// For a file that will be read nearly whole, in pieces: the device then works at its full speed. A file of more than a
  /// quarter of the memory that the process may have is left alone. A hint: nothing depends on it, and it takes no memory of the process.
  package func prefetch() {
    #if os(Linux)
      guard size < MemoryLimit.bytes / 4 else { return }
      let context = Unmanaged.passRetained(self)
      var thread = pthread_t()
      let status = pthread_create(
        &thread, nil,
        { context in
          guard let context else { return nil }
          Unmanaged<FileSource>.fromOpaque(context).takeRetainedValue().adviseInOrder()
          return nil
        }, context.toOpaque())
      if status == 0 { pthread_detach(thread) } else { context.release() }
    #endif
  }

  private func adviseInOrder() {
    #if os(Linux)
      let step = 8 << 20
      var offset = 0
      while offset < size {
        _ = posix_fadvise(descriptor, off_t(offset), off_t(min(step, size - offset)), POSIX_FADV_WILLNEED)
        offset += step
      }
    #endif
  }
}
