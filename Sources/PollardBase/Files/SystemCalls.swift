#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// System calls that the C library has but its portable headers hide, or that not every C library has.
///
/// On Linux they are looked up by name when first used; where a name is missing the caller takes the portable way.
enum SystemCalls {
  /// Renames and refuses to replace. Nil where the system cannot do that in one step; otherwise 0 or -1 with `errno`.
  static func renameWithoutReplacing(_ from: String, _ to: String) -> Int32? {
    #if os(Linux)
      return rename(from, to, flags: 1)
    #elseif canImport(Darwin)
      return supported(renamex_np(from, to, UInt32(RENAME_EXCL)))
    #else
      return nil
    #endif
  }

  /// Exchanges two names in one step. Nil where the system cannot; otherwise 0 or -1 with `errno`.
  static func exchange(_ a: String, _ b: String) -> Int32? {
    #if os(Linux)
      return rename(a, b, flags: 2)
    #elseif canImport(Darwin)
      return supported(renamex_np(a, b, UInt32(RENAME_SWAP)))
    #else
      return nil
    #endif
  }

  /// Reserves room for a file of a size. Nil where the system cannot; otherwise 0 or -1 with `errno`.
  static func reserve(_ descriptor: Int32, size: Int) -> Int32? {
    #if os(Linux)
      guard let function = fallocateFunction else { return nil }
      return supported(function(descriptor, 0, 0, Int64(size)))
    #else
      return nil
    #endif
  }

  /// Asks the kernel to begin writing a file's dirty pages without waiting for them. A hint: failures do not matter.
  static func startWriteBack(_ descriptor: Int32) {
    #if os(Linux)
      _ = syncFileRangeFunction?(descriptor, 0, 0, 2)
    #endif
  }

  /// Copies bytes inside the kernel. Nil where the system cannot for these files; otherwise the count or -1 with `errno`.
  static func copyRange(from input: Int32, at inputOffset: Int, to output: Int32, at outputOffset: Int, count: Int)
    -> Int?
  {
    #if os(Linux)
      guard let function = copyFileRangeFunction else { return nil }
      var from = Int64(inputOffset)
      var to = Int64(outputOffset)
      let copied = function(input, &from, output, &to, count, 0)
      let unsupported = [ENOSYS, EXDEV, EINVAL, EOPNOTSUPP, EPERM, EBADF]
      return copied < 0 && unsupported.contains(errno) ? nil : copied
    #else
      return nil
    #endif
  }

  private static func supported(_ result: Int32) -> Int32? {
    result != 0 && (errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOTSUP) ? nil : result
  }

  #if os(Linux)
    private typealias Rename =
      @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    private typealias Fallocate = @convention(c) (Int32, Int32, Int64, Int64) -> Int32
    private typealias SyncFileRange = @convention(c) (Int32, Int64, Int64, UInt32) -> Int32
    private typealias CopyFileRange =
      @convention(c) (
        Int32, UnsafeMutablePointer<Int64>?, Int32, UnsafeMutablePointer<Int64>?, Int, UInt32
      ) -> Int

    private static let renameFunction: Rename? = function("renameat2")
    private static let fallocateFunction: Fallocate? = function("fallocate")
    private static let syncFileRangeFunction: SyncFileRange? = function("sync_file_range")
    private static let copyFileRangeFunction: CopyFileRange? = function("copy_file_range")

    private static func function<Signature>(_ name: String) -> Signature? {
      guard let address = dlsym(nil, name) else { return nil }
      return unsafeBitCast(address, to: Signature.self)
    }

    private static func rename(_ from: String, _ to: String, flags: UInt32) -> Int32? {
      guard let function = renameFunction else { return nil }
      return supported(function(AT_FDCWD, from, AT_FDCWD, to, flags))
    }
  #endif
}
