import PollardBase
import TensorStorage

/// Where a written model's tensors go.
public enum ONNXDataPlacement: Sendable, Hashable {
  /// Into the model file, unless they are too many for it.
  case automatic
  /// Into the model file.
  case inline
  /// The larger ones into a second file beside it.
  case external
}

/// Writes a model to disk: unchanged messages as they were read, tensors streamed from where they are.
///
///     let output = try ONNXWriter(model, to: "small.onnx", externalFiles: file.externalFiles)
///     try output.write(threads: threads)
///
/// External data go to one file, `<name>.data`, beside the model: tensors of 1 MiB and more begin at multiples of 4096 bytes,
/// smaller ones at multiples of 64, with zeros between. Both files appear complete or not at all, the data first; a pair that
/// is replaced loses its model before its data.
public struct ONNXWriter: Sendable {
  /// What may be chosen.
  public struct Options: Sendable, Hashable {
    /// Where tensors go.
    public var placement = ONNXDataPlacement.automatic
    /// The smallest tensor that goes to the data file, in bytes.
    public var externalThreshold = 1024
    /// The bytes of all tensors above which `automatic` is `external`.
    public var inlineLimit = 1_500_000_000
    /// Whether files at the destination may be replaced.
    public var isReplacing = false
    /// Files and folders that the destination must not be, besides those that the model was read from.
    public var inputs: [String] = []

    /// The defaults.
    public init() {}
  }

  /// Where the model goes.
  public let path: String
  /// Where the external data go; nil when there are none.
  public let dataPath: String?
  /// The bytes of the model file.
  public var modelByteCount: Int { encoding.count }
  /// The bytes of the data file.
  public let dataByteCount: Int
  private let encoding: ONNXEncoding
  private let items: [(weight: Weight, fileOffset: Int)]
  private let options: Options

  /// Lays the output out; nothing is written.
  ///
  /// - Parameter externalFiles: the files of the model that was read, when it has external data.
  /// - Throws: `messageTooLarge` when the model file would be 2 GiB or more; what reading tensors throws.
  public init(
    _ model: ONNXModel, to path: String, options: Options = Options(), externalFiles: ONNXExternalFiles? = nil
  ) throws(FormatError) {
    let path = Paths.withoutTrailingSlashes(path)
    var options = options
    options.inputs += (externalFiles?.openFiles ?? []).map(\.path)
    if let source = model.sourcePath { options.inputs.append(source) }
    var plan = ONNXDataPlan(
      options: options, location: Paths.lastComponent(path) + ".data", externalFiles: externalFiles)
    let placed = try plan.place(model)
    do throws(FormatError) { encoding = try ONNXEncoding(placed) } catch { throw error.inFile(path) }
    // Files are opened while tensors are placed.
    let opened = (externalFiles?.openFiles ?? []).map(\.path)
    options.inputs += opened
    self.options = options
    self.path = path
    items = plan.items
    dataByteCount = plan.end
    dataPath = plan.items.isEmpty ? nil : path + ".data"
  }

  /// Writes the files.
  ///
  /// - Parameter progress: called with the number of tensor bytes written so far, from any thread.
  /// - Throws: `outputExists`, `outputIsInput`, `diskFull`, `cannotWrite`; what reading the tensors throws.
  /// - Complexity: memory is a few megabytes for each thread, whatever the size of the model.
  public func write(
    threads: ThreadPool, progress: (@Sendable (_ bytesDone: Int) -> Void)? = nil
  ) throws(FormatError) {
    let model = try AtomicFile(path: path, replacing: options.isReplacing, inputs: options.inputs)
    var data: AtomicFile?
    if let dataPath {
      data = try AtomicFile(path: dataPath, replacing: options.isReplacing, inputs: options.inputs)
    }
    try requireFreeSpace(modelByteCount + dataByteCount, at: path)
    if let data {
      try data.file.preallocate(dataByteCount)
      try StreamingWriter.write(items, to: data.file, threads: threads, progress: progress)
    }
    let dataByteCount = dataByteCount
    try encoding.write(to: model.file, threads: threads) { progress?(dataByteCount + $0) }
    // All that can still fail after this is the renaming.
    try model.file.finish()
    guard let data, let dataPath else { return try model.commit() }
    let hadData = Directories.kind(of: dataPath, followingLinks: false) != nil
    // A replaced model must at no time be found beside data that are not its own.
    if hadData, options.isReplacing { try Directories.remove(path) }
    try data.commit()
    do throws(FormatError) { try model.commit() } catch {
      if !hadData { try? Directories.remove(dataPath) }
      throw error
    }
  }
}

extension ONNXModel {
  /// The file that the model, or a part that was taken from it, was read from.
  var sourcePath: String? {
    wire.path ?? graph?.wire.path ?? graph?.nodes.lazy.compactMap(\.wire.path).first
      ?? graph?.initializers.lazy.compactMap(\.wire.path).first
  }
}

extension ONNXEncoding {
  /// Writes the pieces to a file that begins with them.
  func write(
    to output: OutputFile, threads: ThreadPool, progress: (@Sendable (_ bytesDone: Int) -> Void)?
  ) throws(FormatError) {
    try output.preallocate(count)
    var offset = 0
    var weights: [(weight: Weight, fileOffset: Int)] = []
    for piece in pieces {
      switch piece {
      case .bytes(let bytes): try output.write(bytes, at: offset)
      case .slice(let slice):
        switch slice.source.storage {
        case .file(let file): try output.copy(from: file, range: slice.range, at: offset)
        case .memory: try output.write(try slice.bytes(), at: offset)
        }
      case .weight(let weight): weights.append((weight, offset))
      }
      offset += piece.count
    }
    try StreamingWriter.write(weights, to: output, threads: threads, progress: progress)
  }
}
