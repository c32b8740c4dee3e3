import PollardBase
import Synchronization
import TensorStorage

/// A file written by `torch.save` whose pickle has been understood and checked; the tensors stay on disk, and nothing is executed.
///
///     let file = try PyTorchFile(path: "pytorch_model.bin")
///     for tensor in file.tensors { print(tensor.name, tensor.type, tensor.shape) }
///     let weight = try file.weight("wte.weight")
///
/// Tensors are views of storages with steps and a start; several may share one. Stored storages are read in place, compressed ones are unpacked
/// into a nameless temporary file when the file is opened.
public struct PyTorchFile: Sendable {
  /// The file, open for reading.
  public let source: FileSource
  /// The tensors, in the order of the pickle. The range is what a tensor touches of its storage; views may leave gaps in it.
  public let tensors: [TensorRecord]
  /// Sentences about what was found beside the tensors.
  public let notes: [String]
  /// What the pickle describes.
  package let graph: PickleGraph
  private let views: [StridedTensor]
  private let positions: [ExactString: Int]
  private let archive: PyTorchArchive
  private let storages: [String: Storage]
  /// Whether the checksums have been compared already, by any copy of this value.
  private let isIntact = Flag()

  private final class Flag: Sendable {
    let value = Atomic<Bool>(false)
  }

  /// Where the bytes of a storage are.
  private struct Storage: Sendable {
    var entry: ZipEntry
    var file: FileSource
    var start: Int
  }

  /// Opens a file.
  ///
  /// - Throws: `legacyPyTorch`, `wrongFormat`, what `ZipArchive` throws, `pickleRefused`, `pickleMalformed`, `pickleTooLarge`,
  ///   `tensorUnsupported`, `storageMismatch`, `duplicateTensor`, with the path.
  /// - Complexity: O(size of directory and pickle), plus the compressed storages.
  public init(path: String) throws(FormatError) { try self.init(FileSource(path: path)) }

  /// Reads an open file.
  public init(_ source: FileSource) throws(FormatError) {
    self.source = source
    do throws(FormatError) {
      guard let container = try PyTorchContainer(source) else {
        throw FormatError(.wrongFormat, expected: "a file that torch.save wrote", found: "other bytes")
      }
      try container.requireZip(source.path)
      archive = try PyTorchArchive(ZipArchive(source))
      let record = try archive.record("data.pkl", limit: PickleMachine.sizeLimit)
      do throws(FormatError) {
        graph = try PickleMachine.run(record.bytes, start: record.start)
      } catch {
        var error = error
        if error.subject == nil { error.subject = .key("data.pkl") }
        throw error
      }
      let tree = try TensorTree(graph)
      notes = tree.notes
      var storages: [String: Storage] = [:]
      var references: [String: StorageReference] = [:]
      var positions: [ExactString: Int] = [:]
      for (name, tensor) in tree.tensors {
        let reference = tensor.storage
        if let other = references.updateValue(reference, forKey: reference.key), other != reference {
          throw FormatError(
            .storageMismatch, subject: .tensor(name), expected: "one type and size of storage \(reference.key)",
            found: "two")
        }
        if storages[reference.key] == nil {
          storages[reference.key] = try Self.open(archive, tensor, name)
        }
        if archive.isBigEndian, [.c64, .c128].contains(tensor.type) {
          throw FormatError(
            .tensorUnsupported, subject: .tensor(name), expected: "real numbers in a big-endian file",
            found: "\(tensor.type)")
        }
        positions[ExactString(name)] = positions.count
      }
      self.storages = storages
      self.positions = positions
      views = tree.tensors.map(\.tensor)
      tensors = tree.tensors.map { name, tensor in
        let start = storages[tensor.storage.key]?.start ?? 0
        return TensorRecord(
          name: name, type: tensor.type, shape: tensor.shape,
          byteRange: start + tensor.touchedBytes.lowerBound..<start + tensor.touchedBytes.upperBound)
      }
    } catch { throw error.inFile(source.path) }
  }

  /// Whether a file begins like one of PyTorch's, current or legacy; a zip archive must have a `data.pkl`.
  package static func recognizes(_ source: FileSource) throws(FormatError) -> Bool {
    guard let container = try PyTorchContainer(source) else { return false }
    guard container == .zip, let zip = try? ZipArchive(source) else { return true }
    return PyTorchArchive.recognizes(zip)
  }

  private static func open(
    _ archive: PyTorchArchive, _ tensor: StridedTensor, _ name: String
  ) throws(FormatError) -> Storage {
    let key = tensor.storage.key
    guard let entry = archive.storage(key), entry.size >= tensor.storageBytes else {
      throw FormatError(
        .storageMismatch, subject: .tensor(name), expected: "a record data/\(key) of \(tensor.storageBytes) bytes",
        found: archive.storage(key).map { "\($0.size) bytes" } ?? "none")
    }
    switch entry.method {
    case .stored:
      return Storage(entry: entry, file: archive.zip.source, start: try archive.zip.dataRange(of: entry).lowerBound)
    case .deflated: return Storage(entry: entry, file: try archive.zip.unpacked(entry), start: 0)
    }
  }

  /// The tensor of a name as a lazy weight; nil when there is none.
  ///
  /// - Throws: `tensorUnsupported` for a large view that is neither a slice nor a permutation of a dense tensor.
  public func weight(_ name: String) throws(FormatError) -> Weight? {
    guard let position = positions[ExactString(name)] else { return nil }
    return try weight(views[position], name: name)
  }

  /// A tensor of the pickle as a lazy weight.
  private func weight(_ view: StridedTensor, name: String) throws(FormatError) -> Weight {
    guard let storage = storages[view.storage.key] else {
      preconditionFailure("the storages of listed tensors are open")
    }
    do throws(FormatError) {
      let weight = try view.weight(in: storage.file, at: storage.start)
      return archive.isBigEndian ? weight.byteSwapped() : weight
    } catch {
      var error = error.inFile(source.path)
      error.subject = .tensor(name)
      throw error
    }
  }

  /// Reads every stored storage once and compares its checksum; storages without one are passed over. Once is enough.
  ///
  /// - Throws: `checksumMismatch` with the record's name.
  /// - Complexity: O(bytes).
  package func checkStorages(pool: ThreadPool) throws(FormatError) {
    if isIntact.value.load(ordering: .relaxed) { return }
    let entries = storages.values.map(\.entry).filter { $0.method == .stored }.sorted {
      $0.headerOffset < $1.headerOffset
    }
    let failures = Mutex<[Int: FormatError]>([:])
    pool.forEach(entries.count) { number in
      do throws(FormatError) { try archive.zip.check(entries[number], allowingNone: true) } catch {
        failures.withLock { $0[number] = error }
      }
    }
    if let first = failures.withLock({ $0.min { $0.key < $1.key }?.value }) { throw first }
    isIntact.value.store(true, ordering: .relaxed)
  }
}
