import CheckpointFormats
import PollardBase
import TensorStorage

/// Writes a Hugging Face directory: tensors streamed, configuration, and everything else of the input copied.
struct CheckpointWriter {
  /// The checkpoint the output is made from.
  let source: Checkpoint
  /// What to write, in any order; names that the source has keep their file and place.
  let tensors: [(name: String, weight: Weight)]
  /// The configuration's text.
  let configuration: [UInt8]
  /// Further files to write, by name; they win over files of the input.
  let extraFiles: [(name: String, bytes: [UInt8])]
  let options: WriteOptions
  /// Names of files of the input that are not carried over.
  var omittedFiles: Set<String> = []

  /// What was written beside the weights.
  struct Result {
    /// Bytes of all weight files.
    var weightBytes = 0
    /// Names of weight files in other formats, which stay behind.
    var leftBehind: [String] = []
  }

  /// Fills an output folder that is not published yet.
  ///
  /// - Throws: `diskFull` before anything is written when the output cannot fit, and what reading and writing throws.
  func write(
    to output: AtomicDirectory, pool: ThreadPool, progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil
  ) throws -> Result {
    let plan = try shardPlan()
    let result = Result(weightBytes: try Self.write(plan, of: tensors, to: output, pool: pool, progress: progress))
    var written: Set<String> = Set(plan.files.map(\.name) + extraFiles.map(\.name) + ["config.json"])
    if let index = plan.index { written.insert(index.name) }
    var rest = result
    try output.writeFile("config.json", configuration)
    for file in extraFiles { try output.writeFile(file.name, file.bytes) }
    try copyRest("", to: output, except: written, &rest)
    return rest
  }

  /// Writes the weight files of a plan, and their index; gives their bytes.
  ///
  /// - Throws: `diskFull` before anything is written when they cannot fit, and what reading and writing throws.
  static func write(
    _ plan: ShardPlan, of tensors: [(name: String, weight: Weight)], to output: AtomicDirectory, pool: ThreadPool,
    progress: (@Sendable (_ done: Int, _ total: Int) -> Void)? = nil
  ) throws -> Int {
    var weights: [String: Weight] = [:]
    for (name, weight) in tensors { weights[name] = weight }
    try requireFreeSpace(plan.totalFileSize, at: Paths.parent(output.path))
    var before = 0
    for file in plan.files {
      let target = try output.createFile(file.name)
      try target.preallocate(file.layout.fileSize)
      try target.write(file.layout.header)
      let items = file.layout.tensors.compactMap { record in
        weights[record.name].map { (weight: $0, fileOffset: record.byteRange.lowerBound) }
      }
      let start = before
      try StreamingWriter.write(items, to: target, threads: pool) { progress?(start + $0, plan.totalFileSize) }
      before += file.layout.fileSize
    }
    if let index = plan.index { try output.writeFile(index.name, index.content.serialized()) }
    return plan.totalFileSize
  }

  /// Fills an output folder with the input's own weight files and all the rest: a faithful copy.
  func copyWeights(to output: AtomicDirectory) throws -> Result {
    let sizes = source.files.reduce(0) { $0 + $1.source.size }
    var result = Result(weightBytes: sizes)
    try requireFreeSpace(sizes, at: Paths.parent(output.path))
    let single = source.index == nil
    for (file, name) in zip(source.files, source.fileNames) {
      try output.copyFile(file.source.path, as: single ? "model.safetensors" : name)
    }
    var written = Set(source.fileNames + ["config.json"])
    if let index = source.location.index {
      written.insert(Paths.lastComponent(index))
      try output.copyFile(index, as: Paths.lastComponent(index))
    }
    try output.writeFile("config.json", configuration)
    try copyRest("", to: output, except: written, &result)
    return result
  }

  /// Fills an output folder with all but the weights.
  func writeCompanions(to output: AtomicDirectory) throws -> Result {
    var result = Result()
    try output.writeFile("config.json", configuration)
    for file in extraFiles { try output.writeFile(file.name, file.bytes) }
    try copyRest("", to: output, except: Set(extraFiles.map(\.name) + ["config.json"]), &result)
    return result
  }

  /// Files and their order: the input's own, or new ones under `--max-shard-size`.
  private func shardPlan() throws(FormatError) -> ShardPlan {
    var declared: [String: TensorDeclaration] = [:]
    for (name, weight) in tensors {
      declared[name] = TensorDeclaration(name: name, type: weight.type, shape: weight.shape)
    }
    if let limit = options.maxShardSize {
      let ordered = tensors.compactMap { declared[$0.name] }
      return try ShardPlan(ordered, metadata: metadata(0), maximumShardSize: limit.bytes)
    }
    var groups: [[TensorDeclaration]] = Array(repeating: [], count: source.files.count)
    var rest = declared
    for tensor in source.tensors {
      if let kept = rest.removeValue(forKey: tensor.name) { groups[tensor.file].append(kept) }
    }
    // A tensor the source has under another name, such as one half of a prune pair, goes into the file of its first part.
    for (name, _) in tensors {
      guard let declaration = rest.removeValue(forKey: name) else { continue }
      let sibling = source.tensors.first { $0.name.hasPrefix(name) }
      groups[sibling?.file ?? 0].append(declaration)
    }
    let files = source.files.indices.map { number in
      let name = source.index == nil ? "model.safetensors" : outputName(source.fileNames[number])
      return (name: name, tensors: groups[number], metadata: metadata(number))
    }
    let kept = files.filter { !$0.tensors.isEmpty || files.count == 1 }
    var extra = source.index?.metadata.removing("total_size") ?? [:]
    if extra["total_parameters"] != nil {
      extra.set("total_parameters", to: JSONValue(tensors.reduce(0) { $0 + $1.weight.shape.elementCount }))
    }
    return try ShardPlan(
      kept, indexName: source.location.index.map { outputName(Paths.lastComponent($0)) },
      order: changesNames ? .reference : .given, indexMetadata: extra)
  }

  /// The name of a file that is written in the place of one of the input: `pytorch_model-00001-of-00002.bin` becomes
  /// `model-00001-of-00002.safetensors`, where stock loaders look for it.
  private func outputName(_ name: String) -> String {
    let stem = name.hasPrefix("pytorch_model") ? String(name.dropFirst("pytorch_".utf8.count)) : name
    if stem.hasSuffix(".bin") { return stem.dropLast(".bin".utf8.count) + ".safetensors" }
    let indexEnding = ".bin.index.json"
    return stem.hasSuffix(indexEnding) ? stem.dropLast(indexEnding.utf8.count) + ".safetensors.index.json" : stem
  }

  /// Whether names appear that the source does not have; then the reference writer's order takes the place of the input's.
  private var changesNames: Bool { tensors.contains { source[$0.name] == nil } }

  /// A file's metadata, with the format named as stock loaders want it.
  private func metadata(_ file: Int) -> SafetensorsMetadata? {
    guard var metadata = source.files.indices.contains(file) ? source.files[file].metadata : nil else {
      return ["format": "pt"]
    }
    if metadata["format"] == nil { metadata["format"] = "pt" }
    return metadata
  }

  private func copyRest(
    _ folder: String, to output: AtomicDirectory, except written: Set<String>, _ result: inout Result, depth: Int = 0
  ) throws(FormatError) {
    let outputs = [output.path, output.temporary].compactMap { Directories.identity(of: $0) }
    let base = folder.isEmpty ? source.location.folder : Paths.join(source.location.folder, folder)
    // The weights that were read are in the output under other names, not left behind.
    var replaced: Set<String> = []
    if folder.isEmpty {
      replaced = Set(source.files.map { Paths.lastComponent($0.source.path) })
      if let index = source.location.index { replaced.insert(Paths.lastComponent(index)) }
    }
    for name in try Directories.names(in: base) {
      let relative = folder.isEmpty ? name : Paths.join(folder, name)
      let path = Paths.join(base, name)
      if written.contains(relative) || omittedFiles.contains(relative) || replaced.contains(relative)
        || Self.isScratch(name)
      {
        continue
      }
      if let identity = Directories.identity(of: path), outputs.contains(identity) { continue }
      switch Directories.kind(of: path) {
      case .directory? where depth < 16:
        try copyRest(relative, to: output, except: written, &result, depth: depth + 1)
      case .file?:
        if Self.isWeights(name) { result.leftBehind.append(relative) } else { try output.copyFile(path, as: relative) }
      default: result.leftBehind.append(relative)
      }
    }
  }

  /// Version-control and cache folders and unfinished outputs are not part of a model.
  private static func isScratch(_ name: String) -> Bool {
    name == ".git" || name == ".cache" || Temporaries.isTemporary(name)
  }

  /// Whether a file holds weights, which would be the unmasked or uncompacted ones in the output.
  private static func isWeights(_ name: String) -> Bool {
    let endings = [
      ".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".ckpt", ".h5", ".msgpack",
      ".gguf", ".onnx", ".onnx_data", ".ot", ".tflite", ".mlmodel", ".npz",
    ]
    return endings.contains { name.hasSuffix($0) }
  }
}

/// The name of the receipt in a compacted directory.
let receiptFileName = "compaction.json"

extension JSONObject {
  /// The object without some keys.
  func removing(_ keys: String...) -> JSONObject {
    var copy = self
    for key in keys { copy.remove(key) }
    return copy
  }
}
