import CheckpointFormats
import ModelArchitectures
import PollardBase

/// Writes a GGUF model to where it can be verified, and publishes it: a file, its parts, or a folder with it.
struct GGUFOutput {
  /// The name of the model in a folder.
  static let nameInFolder = "model.gguf"
  private let directory: AtomicDirectory
  private let name: String
  private let isFolder: Bool
  private let options: WriteOptions

  /// Begins an output; one whose name ends in `.gguf` is a file, any other a folder.
  ///
  /// - Throws: `outputExists`, `outputIsInput`, `diskFull` or `cannotWrite`.
  init(path: String, inputs: [String], options: WriteOptions) throws(FormatError) {
    let path = Paths.withoutTrailingSlashes(path)
    isFolder = !path.hasSuffix(".gguf")
    if let other = [".safetensors", ".onnx", ".bin", ".json"].first(where: path.hasSuffix) {
      throw FormatError(.cannotWrite, file: path, expected: "a name that ends in .gguf, or a folder's", found: other)
    }
    self.options = options
    directory = try AtomicDirectory(path: path, replacing: options.replacing, inputs: inputs)
    if isFolder, options.replacing { try requireReplaceable(path) }
    if !isFolder, let kind = Directories.kind(of: path), kind != .file {
      throw FormatError(
        .outputExists, file: path, expected: "a file or nothing",
        found: kind == .directory ? "a folder" : "something else")
    }
    name = isFolder ? Self.nameInFolder : Paths.lastComponent(path)
  }

  /// Writes the model.
  ///
  /// - Parameter like: a file whose version, byte order and padding the output gets.
  /// - Throws: what laying out and writing throws.
  func write(_ model: GGUFModel, like file: GGUFFile? = nil, pool: ThreadPool) throws -> StagedOutput {
    var choice = file.map { GGUFWriter.Options(of: $0) } ?? GGUFWriter.Options()
    // Version 1 is only read.
    choice.version = max(2, choice.version)
    choice.maximumShardSize = options.maxShardSize?.bytes
    let tensors = model.tensors.map {
      GGUFWriter.Tensor(name: $0.name, type: $0.type, shape: $0.shape, weight: $0.weight)
    }
    let writer = try GGUFWriter(metadata: model.metadata, tensors: tensors, fileName: name, options: choice)
    try writer.write(to: directory, threads: pool)
    let names = writer.files.map(\.name)
    let directory = directory
    let isFolder = isFolder
    return StagedOutput(
      path: Paths.join(directory.temporary, names[0]), weightBytes: writer.totalSize,
      notes: model.notes + splitNotes(writer, names),
      parts: isFolder || names == [name] ? [] : names,
      commit: { () throws(FormatError) in
        if isFolder { try directory.commit() } else { try directory.commitFiles(names) }
      })
  }

  /// What to tell of a split file: its parts, and that one is larger than was asked for.
  private func splitNotes(_ writer: GGUFWriter, _ names: [String]) -> [String] {
    guard names.count > 1, let first = names.first, let last = names.last else { return [] }
    var notes = ["\(names.count) parts, from \(first) to \(last); open the first"]
    if let limit = options.maxShardSize?.bytes,
      let largest = writer.files.map({ $0.tensors.reduce(0) { $0 + $1.weight.byteCount } }).max(), largest > limit
    {
      notes.append("the largest part takes \(humanBytes(largest)), because a tensor is never divided")
    }
    return notes
  }
}
