#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif
import Synchronization

/// An output folder that appears under its name complete, or not at all.
///
/// It is built beside its destination under a hidden name; `commit()` makes every file and folder in it durable and
/// publishes it by one rename. With `replacing`, the new folder and the old exchange names in one step and the old one is
/// removed. When the value goes away without `commit()`, or `commit()` fails, the hidden folder is removed.
public final class AtomicDirectory: Sendable {
  /// The destination.
  public let path: String
  /// Where the folder is being built; for checks of the finished files before they are published.
  package let temporary: String
  private let replacing: Bool
  private let inputs: [String]
  private let lockDescriptor: Int32
  private let state = Mutex(State())

  private struct State {
    var isPending = true
    var openFiles: [OutputFile] = []
    var folders: Set<String> = []
  }

  /// Begins an output; leftovers of killed runs for the same destination are removed first.
  ///
  /// - Parameters:
  ///   - replacing: whether what is at the destination may be replaced.
  ///   - inputs: files and folders that the destination must neither be nor hold, whatever `replacing` says.
  /// - Throws: `outputExists`, `outputIsInput`, `diskFull` or `cannotWrite`.
  public init(path: String, replacing: Bool = false, inputs: [String] = []) throws(FormatError) {
    let path = Paths.withoutTrailingSlashes(path)
    try Publication.check(path, replacing: replacing, inputs: inputs)
    Temporaries.removeStale(for: path)
    self.path = path
    self.replacing = replacing
    self.inputs = inputs
    temporary = Temporaries.path(for: path)
    guard mkdir(temporary, 0o777) == 0 else { throw writeFailure(path, errno) }
    lockDescriptor = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if lockDescriptor >= 0 { _ = flock(lockDescriptor, LOCK_EX | LOCK_NB) }
  }

  deinit {
    abandon()
    if lockDescriptor >= 0 { close(lockDescriptor) }
  }

  /// Begins a file of the folder; folders in its name are made.
  ///
  /// `commit()` finishes the file; calling its `finish()` earlier frees its descriptor.
  ///
  /// - Parameter name: a relative name inside the folder, such as `model.safetensors` or `1_Pooling/config.json`.
  /// - Throws: `cannotWrite` for a name that leads outside or exists already, `diskFull`.
  public func createFile(_ name: String) throws(FormatError) -> OutputFile {
    let location = try prepare(name)
    let file = try OutputFile(creating: location, shownAs: Paths.join(path, name))
    state.withLock { $0.openFiles.append(file) }
    return file
  }

  /// Writes a whole file of the folder.
  public func writeFile(_ name: String, _ bytes: [UInt8]) throws(FormatError) {
    let file = try createFile(name)
    try file.write(bytes)
    try file.finish()
  }

  /// Copies a file, links followed, with its permission bits.
  ///
  /// - Throws: what opening the source throws; `diskFull` or `cannotWrite`.
  public func copyFile(_ source: String, as name: String) throws(FormatError) {
    let input = try FileSource(path: source)
    let file = try createFile(name)
    try file.copy(from: input, range: 0..<input.size, at: 0)
    file.setMode(input.mode)
    try file.finish()
  }

  /// Copies a folder with all it holds, links followed. What is neither file nor folder is refused by name.
  ///
  /// - Parameter depthLimit: how many folders deep the copy may go.
  /// - Throws: `cannotOpen` for a link that leads to a folder around it, and for folders nested too deeply.
  public func copyFolder(_ source: String, as name: String, depthLimit: Int = 32) throws(FormatError) {
    let around = Directories.identity(of: Paths.parent(source))
    try copyFolder(source, as: name, depthLimit: depthLimit, around: [around].compactMap { $0 })
  }

  private func copyFolder(
    _ source: String, as name: String, depthLimit: Int, around: [FileIdentity]
  ) throws(FormatError) {
    guard depthLimit > 0 else {
      throw FormatError(.cannotOpen, file: source, expected: "fewer nested folders", found: "more than can be copied")
    }
    let own = Directories.identity(of: source)
    guard !around.contains(where: { $0 == own }) else {
      throw FormatError(
        .cannotOpen, file: source, expected: "a folder of its own", found: "a link to a folder that it lies in")
    }
    let around = around + [own].compactMap { $0 }
    try createFolder(name)
    for entry in try Directories.names(in: source) {
      let from = Paths.join(source, entry)
      let to = Paths.join(name, entry)
      switch Directories.kind(of: from) {
      case .file?: try copyFile(from, as: to)
      case .directory?: try copyFolder(from, as: to, depthLimit: depthLimit - 1, around: around)
      case nil: throw FormatError(.cannotOpen, file: from, found: "a link that leads nowhere")
      default: throw FormatError(.cannotOpen, file: from, expected: "a file or folder", found: "something else")
      }
    }
  }

  /// Makes a folder inside the folder.
  public func createFolder(_ name: String) throws(FormatError) {
    let location = try prepare(name)
    try Directories.create(location)
    note(folder: name)
  }

  /// Makes everything durable and gives the folder its name.
  ///
  /// - Throws: `diskFull`, `cannotWrite`, or `outputExists` when the name was taken in the meantime; nothing is left then.
  public func commit() throws(FormatError) {
    let (isPending, files, folders) = state.withLock { ($0.isPending, $0.openFiles, $0.folders) }
    precondition(isPending, "the output is committed or abandoned already")
    do throws(FormatError) {
      for file in files { try file.finish() }
      for folder in folders { try Directories.synchronize(Paths.join(temporary, folder)) }
      try Directories.synchronize(temporary)
      // From here on nobody else removes it; what was removed already cannot be published.
      Temporaries.forget(temporary)
      try Publication.publish(temporary, as: path, replacing: replacing)
    } catch {
      abandon()
      throw error
    }
    state.withLock { $0.isPending = false }
  }

  /// Makes everything durable and moves files of the folder to the place beside its destination, in the order given.
  ///
  /// For outputs of several files that name each other: whoever sees the last one sees all. The folder itself goes away.
  ///
  /// - Parameter names: the files' names, which they keep.
  /// - Throws: `diskFull`, `cannotWrite`, `outputExists`; files moved before the failure are taken back unless they replaced others.
  public func commitFiles(_ names: [String]) throws(FormatError) {
    let (isPending, files) = state.withLock { ($0.isPending, $0.openFiles) }
    precondition(isPending, "the output is committed or abandoned already")
    let parent = Paths.parent(path)
    var moved: [String] = []
    // What the last file replaces goes first: it must never be seen beside parts of another output.
    let last = names.count > 1 ? names.last.map { Paths.join(parent, $0) } : nil
    let aside = Paths.join(temporary, ".replaced")
    var isAside = false
    do throws(FormatError) {
      for name in names { try Publication.check(Paths.join(parent, name), replacing: replacing, inputs: inputs) }
      for file in files { try file.finish() }
      try Directories.synchronize(temporary)
      if replacing, let last, Directories.kind(of: last, followingLinks: false) != nil {
        guard rename(last, aside) == 0 else { throw writeFailure(last, errno) }
        isAside = true
      }
      for name in names {
        let target = Paths.join(parent, name)
        let isNew = Directories.kind(of: target, followingLinks: false) == nil
        try Publication.publish(Paths.join(temporary, name), as: target, replacing: replacing)
        if isNew { moved.append(target) }
      }
    } catch {
      for target in moved { try? Directories.remove(target) }
      // The old file comes back only where nothing that it names has been replaced.
      if isAside, let last, moved.count == names.count - 1 || moved.isEmpty { _ = rename(aside, last) }
      abandon()
      throw error
    }
    abandon()
  }

  /// Removes what was written. Does nothing after `commit()`.
  public func abandon() {
    let files = state.withLock { state -> [OutputFile]? in
      defer { state.isPending = false }
      return state.isPending ? state.openFiles : nil
    }
    guard let files else { return }
    for file in files { file.closeOnce() }
    try? Directories.remove(temporary)
    Temporaries.forget(temporary)
  }

  private func prepare(_ name: String) throws(FormatError) -> String {
    guard Paths.isContained(name) else {
      throw FormatError(.cannotWrite, file: path, expected: "a name inside the folder", found: "\"\(name)\"")
    }
    let location = Paths.join(temporary, name)
    if name.utf8.contains(UInt8(ascii: "/")) {
      try Directories.create(Paths.parent(location))
      note(folder: Paths.parent(name))
    }
    return location
  }

  private func note(folder: String) {
    var folder = folder
    state.withLock { state in
      while folder != "." && folder != "/" {
        state.folders.insert(folder)
        folder = Paths.parent(folder)
      }
    }
  }
}
