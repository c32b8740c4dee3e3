import PollardBase

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where the files of a checkpoint are, found from what a user named.
public struct CheckpointLocation: Sendable, Hashable {
  /// The folder that holds the weights, and with them the configuration.
  public let folder: String
  /// The path of the single weight file; nil for a sharded checkpoint.
  public let file: String?
  /// The path of the shard index; nil for a single file.
  public let index: String?
  /// Whether the user named the folder rather than a file in it.
  public let isFolder: Bool

  /// Finds the weight files that a path names: a folder, a weight file, or a shard index.
  ///
  /// In a folder `model.safetensors` comes before `model.safetensors.index.json`; failing both, the only index, then the only
  /// `.safetensors` file is taken. Without any of these, `pytorch_model.bin`, its index, or the only `.bin` file with weights. Symbolic links are followed, as a Hub cache needs. A text that names nothing on disk but reads
  /// like a Hub id gets a remedy that says how to fetch it, or where the cache has it.
  ///
  /// - Throws: `noCheckpoint` with what was found instead.
  public init(resolving path: String) throws(FormatError) {
    switch Directories.kind(of: path) {
    case .directory?: self = try Self.inFolder(Paths.withoutTrailingSlashes(path))
    case .file?:
      let isIndex = path.hasSuffix(".json")
      self.init(folder: Paths.parent(path), file: isIndex ? nil : path, index: isIndex ? path : nil, isFolder: false)
    case nil: throw FormatError(.noCheckpoint, file: path, found: "nothing", remedy: Self.remedy(forMissing: path))
    default: throw FormatError(.noCheckpoint, file: path, expected: "a file or folder", found: "something else")
    }
  }

  private init(folder: String, file: String?, index: String?, isFolder: Bool) {
    self.folder = folder
    self.file = file
    self.index = index
    self.isFolder = isFolder
  }

  private static func inFolder(_ folder: String) throws(FormatError) -> CheckpointLocation {
    func file(_ name: String) -> CheckpointLocation {
      CheckpointLocation(folder: folder, file: Paths.join(folder, name), index: nil, isFolder: true)
    }
    func index(_ name: String) -> CheckpointLocation {
      CheckpointLocation(folder: folder, file: nil, index: Paths.join(folder, name), isFolder: true)
    }
    let names = try Directories.names(in: folder)
    if names.contains("model.safetensors") { return file("model.safetensors") }
    if names.contains("model.safetensors.index.json") { return index("model.safetensors.index.json") }
    let indexes = names.filter { $0.hasSuffix(".json") && $0.contains(".safetensors.index.") }
    if indexes.count == 1, let only = indexes.first { return index(only) }
    let weights = names.filter { $0.hasSuffix(".safetensors") && $0 != "adapter_model.safetensors" }
    if indexes.isEmpty, weights.count == 1, let only = weights.first { return file(only) }
    guard indexes.isEmpty, weights.isEmpty else {
      throw failure(folder: folder, names: names, candidates: indexes + weights)
    }
    if names.contains("pytorch_model.bin") { return file("pytorch_model.bin") }
    if names.contains("pytorch_model.bin.index.json") { return index("pytorch_model.bin.index.json") }
    // What training leaves beside the weights.
    let others = ["training_args.bin", "adapter_model.bin", "optimizer.bin", "scheduler.bin"]
    let pickles = names.filter { $0.hasSuffix(".bin") && !others.contains($0) }
    if pickles.count == 1, let only = pickles.first { return file(only) }
    throw failure(folder: folder, names: names, candidates: pickles)
  }

  private static func failure(folder: String, names: [String], candidates: [String]) -> FormatError {
    let expected = "model.safetensors, model.safetensors.index.json or pytorch_model.bin"
    func named(_ found: String, _ remedy: String) -> FormatError {
      FormatError(.noCheckpoint, file: folder, expected: expected, found: found, remedy: remedy)
    }
    if candidates.count > 1 {
      return named(candidates.prefix(4).joined(separator: ", "), "name the file to use instead of the folder")
    }
    if let adapter = names.first(where: { $0 == "adapter_model.safetensors" || $0 == "adapter_model.bin" }) {
      return named("\(adapter), a LoRA adapter", "merge the adapter into its base model first")
    }
    if names.contains("snapshots"), names.contains("blobs") {
      let snapshots = (try? Directories.names(in: Paths.join(folder, "snapshots"))) ?? []
      let newest = snapshots.first.map { Paths.join(Paths.join(folder, "snapshots"), $0) }
      return named("a Hub cache entry", "name the snapshot in it\(newest.map { ": " + $0 } ?? "")")
    }
    if let other = names.first(where: { $0.hasSuffix(".gguf") || $0.hasSuffix(".onnx") }) {
      return named(other, "name that file instead of the folder")
    }
    if let pickle = names.first(where: { $0.hasSuffix(".bin") || $0.hasSuffix(".pt") || $0.hasSuffix(".pth") }) {
      return named(pickle, "name the file that holds the weights instead of the folder")
    }
    return named(names.isEmpty ? "an empty folder" : "neither", "name the folder that holds the weights")
  }

  private static func remedy(forMissing path: String) -> String {
    guard looksLikeHubID(path) else { return "check the path" }
    let home = variable("HF_HUB_CACHE") ?? variable("HF_HOME").map { Paths.join($0, "hub") }
    let cache = home ?? variable("HOME").map { Paths.join($0, ".cache/huggingface/hub") }
    let entry = "models--" + path.split(separator: "/").joined(separator: "--")
    if let cache {
      let snapshots = Paths.join(Paths.join(cache, entry), "snapshots")
      if let newest = (try? Directories.names(in: snapshots))?.first {
        return "this looks like a Hub id, and the cache holds it: use \(Paths.join(snapshots, newest))"
      }
    }
    let name = Paths.lastComponent(path)
    return "this looks like a Hub id; fetch it with \"hf download \(path) --local-dir \(name)\" and name that folder"
  }

  private static func looksLikeHubID(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count),
      ![".safetensors", ".json", ".onnx", ".bin", ".pt", ".pth"].contains(where: path.hasSuffix)
    else {
      return false
    }
    return parts.allSatisfy { part in
      !part.isEmpty && part.first != "." && part.utf8.count <= 96
        && part.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
    }
  }

  private static func variable(_ name: String) -> String? {
    guard let value = getenv(name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}
