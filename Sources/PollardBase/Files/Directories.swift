#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a path names, symbolic links followed or not as the question says.
package enum FileKind: Sendable, Hashable {
  /// A regular file.
  case file
  /// A folder.
  case directory
  /// A symbolic link, when links are not followed.
  case symbolicLink
  /// A device, socket or pipe.
  case other
}

/// Asking and changing folders.
package enum Directories {
  /// What a path names, or nil when nothing is there (or, with links followed, a link leads nowhere).
  package static func kind(of path: String, followingLinks: Bool = true) -> FileKind? {
    status(of: path, followingLinks: followingLinks).map { kind(of: $0) }
  }

  /// Device and inode of what a path names, links followed; nil when nothing is there.
  package static func identity(of path: String) -> FileIdentity? {
    status(of: path, followingLinks: true).map {
      FileIdentity(device: UInt64(truncatingIfNeeded: $0.st_dev), inode: UInt64($0.st_ino))
    }
  }

  /// The size in bytes of what a path names, links followed; nil when nothing is there.
  package static func size(of path: String) -> Int? {
    status(of: path, followingLinks: true).flatMap { Int(exactly: $0.st_size) }
  }

  /// The names in a folder in byte order, without `.` and `..`.
  ///
  /// - Throws: `cannotOpen` when the folder cannot be listed or a name is not UTF-8.
  package static func names(in folder: String) throws(FormatError) -> [String] {
    guard let stream = opendir(folder) else {
      throw FormatError(.cannotOpen, file: folder, found: systemErrorText(errno))
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      guard let name = name(of: entry) else {
        throw FormatError(.cannotOpen, file: folder, expected: "names in UTF-8", found: "a name that is not")
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted(by: precedesInByteOrder)
  }

  /// Makes a folder and those above it that are missing.
  package static func create(_ path: String) throws(FormatError) {
    if kind(of: path) == .directory { return }
    let parent = Paths.parent(path)
    if parent != path { try create(parent) }
    guard mkdir(path, 0o777) == 0 || errno == EEXIST else { throw writeFailure(path, errno) }
  }

  /// Removes a file, a link (not what it leads to) or a folder with all it holds. Nothing there is no error.
  package static func remove(_ path: String) throws(FormatError) {
    switch kind(of: path, followingLinks: false) {
    case nil: return
    case .directory?:
      for name in try names(in: path) { try remove(Paths.join(path, name)) }
      guard rmdir(path) == 0 || errno == ENOENT else { throw writeFailure(path, errno) }
    default:
      guard unlink(path) == 0 || errno == ENOENT else { throw writeFailure(path, errno) }
    }
  }

  /// Makes the names in a folder durable.
  package static func synchronize(_ folder: String) throws(FormatError) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw writeFailure(folder, errno) }
    defer { close(descriptor) }
    // Some file systems have no fsync for folders and say so with EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else { throw writeFailure(folder, errno) }
  }

  private static func status(of path: String, followingLinks: Bool) -> stat? {
    var status = stat()
    let result = followingLinks ? stat(path, &status) : lstat(path, &status)
    return result == 0 ? status : nil
  }

  private static func kind(of status: stat) -> FileKind {
    switch status.st_mode & S_IFMT {
    case S_IFREG: .file
    case S_IFDIR: .directory
    case S_IFLNK: .symbolicLink
    default: .other
    }
  }

  private static func name(of entry: UnsafeMutablePointer<dirent>) -> String? {
    guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else { return nil }
    let start = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: CChar.self)
    return String(validatingCString: start)
  }
}
