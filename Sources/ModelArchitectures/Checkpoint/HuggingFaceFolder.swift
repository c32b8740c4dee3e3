import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// A Hugging Face checkpoint on disk: config.json and safetensors weights, opened and not yet understood.
public struct HuggingFaceFolder: Sendable {
  /// The weights.
  public let checkpoint: Checkpoint
  /// The content of config.json.
  public let config: JSONValue
  /// The bytes of config.json.
  public let configBytes: [UInt8]
  /// The path of config.json.
  public let configPath: String

  /// Largest config.json that is read: real ones have some kilobytes.
  private static let configLimit = 64 << 20

  /// Opens a folder, a weight file in it, or its shard index.
  ///
  /// - Throws: `adapterCheckpoint`, `missingConfiguration`, and what opening the checkpoint and parsing the
  ///   configuration throw.
  public init(at path: String) throws(FormatError) {
    let location = try CheckpointLocation(resolving: path)
    let folder = location.folder
    if Directories.kind(of: Paths.join(folder, "adapter_config.json")) != nil {
      throw FormatError(
        .adapterCheckpoint, file: folder, expected: "a model", found: "adapter_config.json",
        remedy: "merge the adapter into its base model first")
    }
    configPath = Paths.join(folder, "config.json")
    guard Directories.kind(of: configPath) != nil else {
      throw FormatError(
        .missingConfiguration, file: folder, expected: "config.json beside the weights", found: "no such file")
    }
    let source = try FileSource(path: configPath)
    guard source.size <= Self.configLimit else {
      throw FormatError(
        .configurationValue, file: configPath, expected: "at most \(Self.configLimit) bytes", found: "\(source.size)")
    }
    configBytes = try source.bytes(0..<source.size)
    do throws(FormatError) {
      config = try JSONValue(parsing: configBytes, allowingNonFinite: true)
    } catch {
      throw error.inFile(configPath)
    }
    checkpoint = try Checkpoint(location)
  }

  /// The tensors in their order on disk.
  public var tensors: [NamedTensor] {
    checkpoint.tensors.map { tensor in
      NamedTensor(
        name: tensor.name, weight: checkpoint.weight(tensor),
        file: checkpoint.files.count > 1 ? checkpoint.fileNames[tensor.file] : nil)
    }
  }

  /// Reads the model.
  ///
  /// - Parameter allowingRagged: takes the counts of each layer from the tensors.
  /// - Throws: as `ImportedModel.init`.
  public func model(allowingRagged: Bool = false) throws(FormatError) -> ImportedModel {
    try model(masked(by: ScoreRequest()), allowingRagged: allowingRagged)
  }

  /// Reads the model as its mask scores make it.
  ///
  /// - Throws: as `ImportedModel.init`.
  public func model(_ masking: ScoreMasking, allowingRagged: Bool = false) throws(FormatError) -> ImportedModel {
    do throws(FormatError) {
      return try ImportedModel(
        config: masking.config, configPath: configPath, tensors: masking.tensors, allowingRagged: allowingRagged)
    } catch {
      throw error.inFile(checkpoint.location.file ?? checkpoint.location.folder)
    }
  }
}
