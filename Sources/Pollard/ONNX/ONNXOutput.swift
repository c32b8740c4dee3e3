import CheckpointFormats
import PollardBase

/// Writes an ONNX model to where it can be verified, and publishes it: a file with its data beside it, or a folder.
struct ONNXOutput {
  /// The name of the model in a folder.
  static let nameInFolder = "model.onnx"
  /// The folder the model is written to first.
  let directory: AtomicDirectory
  /// The model's name.
  let name: String
  /// Whether the output is a folder that holds the model, rather than the model itself.
  let isFolder: Bool
  private let options: WriteOptions

  /// Begins an output; one whose name ends in `.onnx` is a file, any other a folder.
  ///
  /// - Throws: `outputExists`, `outputIsInput`, `diskFull` or `cannotWrite`.
  init(path: String, inputs: [String], options: WriteOptions) throws(FormatError) {
    let path = Paths.withoutTrailingSlashes(path)
    isFolder = !path.hasSuffix(".onnx")
    if let other = [".safetensors", ".gguf", ".bin", ".json"].first(where: path.hasSuffix) {
      throw FormatError(
        .cannotWrite, file: path, expected: "a name that ends in .onnx, or a folder's", found: other)
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
  /// - Parameter placement: where tensors go.
  /// - Throws: what laying out and writing throws.
  func write(
    _ model: ONNXModel, placement: ONNXDataPlacement = .automatic, externalFiles: ONNXExternalFiles? = nil,
    pool: ThreadPool
  ) throws -> StagedOutput {
    var choice = ONNXWriter.Options()
    choice.placement = placement
    let writer = try ONNXWriter(
      model, to: Paths.join(directory.temporary, name), options: choice, externalFiles: externalFiles)
    try writer.write(threads: pool)
    let names = (writer.dataPath.map { [Paths.lastComponent($0)] } ?? []) + [name]
    let directory = directory
    let isFolder = isFolder
    return StagedOutput(
      path: Paths.join(directory.temporary, name), weightBytes: writer.modelByteCount + writer.dataByteCount,
      commit: { () throws(FormatError) in
        if isFolder { try directory.commit() } else { try directory.commitFiles(names) }
      })
  }
}
