#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Plain operations on path strings; nothing here touches the file system except where it says so.
package enum Paths {
  /// A path below a folder; an absolute second part stands alone.
  package static func join(_ folder: String, _ name: String) -> String {
    if folder.isEmpty || name.hasPrefix("/") { return name }
    return folder.hasSuffix("/") ? folder + name : folder + "/" + name
  }

  /// The part after the last slash; slashes at the end do not count, and the root has none.
  package static func lastComponent(_ path: String) -> String {
    let trimmed = withoutTrailingSlashes(path)
    guard let slash = trimmed.utf8.lastIndex(of: UInt8(ascii: "/")) else { return trimmed }
    return String(trimmed[trimmed.index(after: slash)...])
  }

  /// The folder that holds a path: `.` for a bare name, `/` for the root and what lies in it.
  package static func parent(_ path: String) -> String {
    let trimmed = withoutTrailingSlashes(path)
    guard let slash = trimmed.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    let folder = withoutTrailingSlashes(String(trimmed[..<slash]))
    return folder.isEmpty ? "/" : folder
  }

  /// The path without slashes at its end; the root stays.
  package static func withoutTrailingSlashes(_ path: String) -> String {
    var end = path.utf8.endIndex
    while end > path.utf8.startIndex {
      let before = path.utf8.index(before: end)
      guard before > path.utf8.startIndex, path.utf8[before] == UInt8(ascii: "/") else { break }
      end = before
    }
    return String(path[..<end])
  }

  /// Whether a name taken from a file may be used below a folder: relative, inside it, printable as one path.
  ///
  /// Refused are empty names and components, `.` and `..`, a leading slash, backslashes, colons (drives) and NUL.
  package static func isContained(_ name: String) -> Bool {
    if name.isEmpty || name.utf8.contains(where: { $0 == 0 || $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: ":") }) {
      return false
    }
    // Bytes, not characters: a combining mark after a slash would hide it.
    return name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy {
      !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8)
    }
  }

  /// The path with every symbolic link followed, or nil when nothing is there. Asks the file system.
  package static func resolved(_ path: String) -> String? {
    guard let pointer = realpath(path, nil) else { return nil }
    defer { free(pointer) }
    return String(validatingCString: pointer)
  }
}
