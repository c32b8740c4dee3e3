import PollardBase
import TensorStorage

/// Named tensors over one or several safetensors or PyTorch files, found and checked; nothing but headers has been read.
public struct Checkpoint: Sendable {
  /// A tensor with the file that holds it.
  public struct Tensor: Sendable, Hashable {
    /// The tensor's name, type, shape and bytes.
    public let record: TensorRecord
    /// The position of its file in `files`.
    public let file: Int

    /// The name.
    public var name: String { record.name }
    /// The element type.
    public var type: ElementType { record.type }
    /// The extents.
    public var shape: Shape { record.shape }
    /// The tensor's bytes in its file; in a PyTorch file the bytes from its first element to its last, gaps included.
    public var byteRange: Range<Int> { record.byteRange }
    /// The number of bytes of its elements.
    public var byteCount: Int { shape.byteCount(of: type) ?? 0 }
  }

  /// Where the checkpoint is.
  public let location: CheckpointLocation
  /// The shards in the order of their names, or the single file.
  public let files: [CheckpointFile]
  /// The names of `files`, relative to the folder.
  public let fileNames: [String]
  /// The shard index; nil for a single file.
  public let index: ShardIndex?
  /// All tensors: file after file, in each in the order of the bytes.
  public let tensors: [Tensor]
  private let positions: [ExactString: Int]
  /// The weights of PyTorch tensors, which are no plain ranges of bytes; nil for the others.
  private let views: [Weight?]

  /// Opens a folder, a weight file or a shard index.
  ///
  /// - Throws: `noCheckpoint`; what reading the index and each header throws; `missingShard`; `indexMismatch` when a tensor is
  ///   in the index and not in its shard, or in a shard and not in the index; `duplicateTensor` when it is in two shards.
  /// - Complexity: O(size of index and headers).
  public init(at path: String) throws(FormatError) { try self.init(CheckpointLocation(resolving: path)) }

  /// Opens a checkpoint whose place is known.
  public init(_ location: CheckpointLocation) throws(FormatError) {
    self.location = location
    if let file = location.file {
      index = nil
      fileNames = [Paths.lastComponent(file)]
      files = [try CheckpointFile(path: file)]
    } else if let path = location.index {
      let read = try ShardIndex(path: path)
      index = read
      fileNames = read.shards
      files = try Self.open(read.shards, of: path)
    } else {
      preconditionFailure("a location names a file or an index")
    }
    var tensors: [Tensor] = []
    var positions: [ExactString: Int] = [:]
    var views: [Weight?] = []
    for (number, file) in files.enumerated() {
      let records = file.records
      positions.reserveCapacity(positions.count + records.count)
      for record in records {
        if let other = positions.updateValue(tensors.count, forKey: ExactString(record.name)) {
          throw FormatError(
            .duplicateTensor, file: file.source.path, subject: .tensor(record.name),
            found: "it also in \(fileNames[tensors[other].file])")
        }
        tensors.append(Tensor(record: record, file: number))
        if case .pytorch(let file) = file { views.append(try file.weight(record.name)) } else { views.append(nil) }
      }
    }
    self.tensors = tensors
    self.positions = positions
    self.views = views
    if let index, let path = location.index {
      do throws(FormatError) { try checkAgainst(index) } catch { throw error.inFile(path) }
    }
  }

  /// The tensor of a name, compared byte by byte.
  ///
  /// - Complexity: O(1) on average.
  public subscript(name: String) -> Tensor? { positions[ExactString(name)].map { tensors[$0] } }

  /// A tensor of this checkpoint as a lazy weight.
  public func weight(_ tensor: Tensor) -> Weight {
    if let position = positions[ExactString(tensor.name)], let view = views[position] { return view }
    return .stored(
      files[tensor.file].source, byteOffset: tensor.byteRange.lowerBound, type: tensor.type, shape: tensor.shape)
  }

  /// Whether any of the files is one of PyTorch's.
  public var isPyTorch: Bool { files.contains { $0.isPyTorch } }

  /// Sentences about what was found beside the tensors.
  public var notes: [String] { files.flatMap(\.notes) }

  /// Compares the checksums of formats that have them; reads every byte of such files.
  ///
  /// - Throws: `checksumMismatch`.
  package func checkIntegrity(pool: ThreadPool) throws(FormatError) {
    for case .pytorch(let file) in files { try file.checkStorages(pool: pool) }
  }

  /// The strings under `__metadata__` of the first file that has any.
  public var metadata: SafetensorsMetadata? { files.lazy.compactMap(\.metadata).first }

  /// The bytes of all tensors together.
  public var dataSize: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  private static func open(_ shards: [String], of index: String) throws(FormatError) -> [CheckpointFile] {
    var files: [CheckpointFile] = []
    for shard in shards {
      let path = Paths.join(Paths.parent(index), shard)
      guard Directories.kind(of: path) != nil else {
        throw FormatError(
          .missingShard, file: index, found: "no file \(path)", remedy: "fetch the missing file into the folder")
      }
      files.append(try CheckpointFile(path: path))
    }
    return files
  }

  private func checkAgainst(_ index: ShardIndex) throws(FormatError) {
    for assignment in index.assignments {
      let place = self[assignment.tensor].map { fileNames[$0.file] }
      guard let place, haveSameBytes(place, assignment.shard) else {
        throw FormatError(
          .indexMismatch, subject: .tensor(assignment.tensor), expected: "it in \(assignment.shard)",
          found: place.map { "it in \($0)" } ?? "it in no shard")
      }
    }
    guard index.assignments.count != tensors.count else { return }
    let named = Set(index.assignments.map { ExactString($0.tensor) })
    if let stray = tensors.first(where: { !named.contains(ExactString($0.name)) }) {
      throw FormatError(
        .indexMismatch, subject: .tensor(stray.name), expected: "it in the index",
        found: "it only in \(fileNames[stray.file])")
    }
  }
}
