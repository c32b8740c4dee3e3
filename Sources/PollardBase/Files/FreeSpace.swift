#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The bytes that an unprivileged user may still write where a path lies, or nil when the system does not say.
///
/// The path itself need not exist: the nearest folder above it is asked.
public func freeSpace(at path: String) -> Int? {
  var place = path
  var space = statvfs()
  while statvfs(place, &space) != 0 {
    let parent = Paths.parent(place)
    guard errno == ENOENT || errno == ENOTDIR, parent != place else { return nil }
    place = parent
  }
  let (bytes, overflow) = Int(clamping: space.f_bavail).multipliedReportingOverflow(by: Int(clamping: space.f_frsize))
  return overflow ? Int.max : bytes
}

/// Refuses to begin an output that cannot fit.
///
/// - Throws: `diskFull` with both sizes.
public func requireFreeSpace(_ bytes: Int, at path: String) throws(FormatError) {
  guard let free = freeSpace(at: path), free < bytes else { return }
  throw FormatError(
    .diskFull, file: path, expected: "\(bytes) bytes of free space", found: "\(free) bytes",
    remedy: "free some space or choose an output on another device")
}

/// The error of a failed write: `diskFull` when the device or the user's quota is exhausted, otherwise `cannotWrite`.
package func writeFailure(_ path: String, _ number: Int32, at offset: Int? = nil) -> FormatError {
  let isFull = number == ENOSPC || number == EDQUOT
  return FormatError(
    isFull ? .diskFull : .cannotWrite, file: path, at: offset.map { .byte($0) }, found: systemErrorText(number),
    remedy: isFull ? "free some space or choose an output on another device" : nil)
}
