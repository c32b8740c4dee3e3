#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension FileSource {
  /// A file that is written and then has no name: it disappears with the last value that reads it.
  ///
  /// - Parameter write: fills the file.
  /// - Throws: `diskFull` or `cannotWrite` when there is no room in the folder for temporary files, and what `write` throws.
  package static func temporary(
    _ write: (OutputFile) throws(FormatError) -> Void
  ) throws(FormatError) -> FileSource {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let path = Paths.join(folder, "pollard-\(getpid())-\(UInt64.random(in: .min ... .max))")
    let output = try OutputFile(creating: path, shownAs: path, mode: 0o600)
    defer { _ = unlink(path) }
    try write(output)
    let result = try FileSource(path: path)
    output.closeOnce()
    return result
  }
}
