import Synchronization

/// An output file that appears under its name complete, or not at all.
///
/// It is written beside its destination under a hidden name, made durable, and renamed. When the value goes away without
/// `commit()`, or `commit()` fails, the hidden file is removed.
///
///     let output = try AtomicFile(path: "model.safetensors", inputs: ["old.safetensors"])
///     try output.file.write(bytes, at: 0)
///     try output.commit()
public final class AtomicFile: Sendable {
  /// The destination.
  public let path: String
  /// The file to write to until it is committed.
  public let file: OutputFile
  private let temporary: String
  private let replacing: Bool
  private let isPending = Atomic<Bool>(true)

  /// Begins an output; leftovers of killed runs for the same destination are removed first.
  ///
  /// - Parameters:
  ///   - replacing: whether a file at the destination may be replaced.
  ///   - inputs: files and folders that the destination must not be, whatever `replacing` says.
  /// - Throws: `outputExists`, `outputIsInput`, `diskFull` or `cannotWrite`.
  public init(path: String, replacing: Bool = false, inputs: [String] = []) throws(FormatError) {
    let path = Paths.withoutTrailingSlashes(path)
    try Publication.check(path, replacing: replacing, inputs: inputs)
    if replacing, Directories.kind(of: path) == .directory {
      throw FormatError(.outputExists, file: path, expected: "a file or nothing", found: "a folder")
    }
    Temporaries.removeStale(for: path)
    self.path = path
    self.replacing = replacing
    temporary = Temporaries.path(for: path)
    file = try OutputFile(creating: temporary, shownAs: path)
    file.lock()
  }

  deinit { abandon() }

  /// Makes every byte durable and gives the file its name.
  ///
  /// - Throws: `diskFull`, `cannotWrite`, or `outputExists` when the name was taken in the meantime; nothing is left then.
  public func commit() throws(FormatError) {
    precondition(isPending.load(ordering: .relaxed), "the output is committed or abandoned already")
    do throws(FormatError) {
      try file.finish()
      Temporaries.forget(temporary)
      try Publication.publish(temporary, as: path, replacing: replacing)
    } catch {
      abandon()
      throw error
    }
    isPending.store(false, ordering: .relaxed)
  }

  /// Removes what was written. Does nothing after `commit()`.
  public func abandon() {
    guard isPending.exchange(false, ordering: .acquiringAndReleasing) else { return }
    file.closeOnce()
    try? Directories.remove(temporary)
    Temporaries.forget(temporary)
  }
}
