import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// A GGUF file read as a model: its metadata as a Hugging Face configuration, its tensors under a checkpoint's names with the file's own
/// order of rows undone, and what is needed to write it back.
///
/// Tensors stay on disk: transforms are lazy, and undo themselves when the model is written as GGUF again.
public struct ImportedGGUFModel: Sendable {
  /// The file's content, without dropped layers.
  public let source: GGUFModel
  /// `general.architecture`.
  public let architecture: String
  /// The model as its architecture reads it.
  public let model: ImportedModel
  /// What stock loaders accept of the model as GGUF.
  public let loaderRules: LoaderRules
  /// Things worth telling about the import, as full sentences without the stop.
  public let notes: [String]

  /// The tensors of a classifier, which stands behind a layer that the format does not hold, so that no model reads them.
  public var unreadTensors: [String] {
    map.slots.filter { $0.row.isUnread }.flatMap(\.names)
  }

  let family: GGUFFamily
  let map: GGUFTensorMap
  /// The path named in errors.
  let file: String?

  /// Reads a model.
  ///
  /// - Parameters:
  ///   - checkpoint: the file, or its parts.
  ///   - dropped: layers to leave out, the others numbered anew.
  /// - Throws: `unknownArchitecture`; `ggufKeyMissing`, `ggufValueTypeMismatch`, `ggufArrayLengthMismatch`, `ggufValueOutOfRange`;
  ///   `missingTensor`, `unexpectedTensor`, `wrongShape`; `unsupportedConfiguration`; and what `ImportedModel` throws.
  /// - Complexity: O(number of tensors); reads only vectors of rotary factors.
  public init(checkpoint: GGUFCheckpoint, dropping dropped: [Int] = []) throws(FormatError) {
    let tensors = checkpoint.tensors.map {
      GGUFModel.Tensor(name: $0.name, type: $0.type, shape: $0.shape, weight: checkpoint.weight($0))
    }
    try self.init(
      GGUFModel(metadata: checkpoint.metadata, tensors: tensors), file: checkpoint.path, dropping: dropped)
  }

  /// Reads a model that is in memory, or on its way from one format to another.
  public init(_ model: GGUFModel, file: String? = nil, dropping dropped: [Int] = []) throws(FormatError) {
    do throws(FormatError) {
      let model = dropped.isEmpty ? model : try model.dropping(layers: dropped, file: file)
      let reading = try GGUFReading(model, file: file)
      let family = try GGUFFamilies.find(reading)
      let content = try GGUFCheckpointContent(model, reading, family)
      self.source = model
      self.file = file
      self.family = family
      architecture = family.architecture
      map = content.map
      self.model = try content.imported()
      loaderRules = LoaderRules.gguf(
        family, isTied: reading.tensors["output.weight"] == nil, isPlain: content.isPlain)
      notes = self.model.notes
    } catch {
      throw file.map { error.inFile($0) } ?? error
    }
  }
}

/// A GGUF file in the terms of a checkpoint.
struct GGUFCheckpointContent {
  let config: JSONValue
  let tensors: [NamedTensor]
  let map: GGUFTensorMap
  /// Whether the configuration's counts are the largest of layers that differ.
  let isRagged: Bool
  /// Whether all layers see all keys, with angles that do not depend on the text.
  let isPlain: Bool
  private let names: [String: String]
  private let family: GGUFFamily
  private let layerCounts: [Int]
  private let file: String?

  init(_ model: GGUFModel, _ reading: GGUFReading, _ family: GGUFFamily) throws(FormatError) {
    file = reading.file
    var layerCounts: [Int] = []
    for block in family.blocks { layerCounts.append(try Self.layerCount(block, reading)) }
    let total = layerCounts.reduce(0, +)
    var config: JSONObject = [:]
    let layers = try Self.readRows(reading, family, layers: layerCounts[0], &config)
    isRagged = Set(layers).count > 1
    if isRagged, family.capability.heads != .perLayer {
      throw FormatError(
        .unsupportedConfiguration, subject: .key(reading.key("attention.head_count")),
        expected:
          "one number for all layers, because llama.cpp takes the first layer's for all of \(family.architecture)",
        found: "different ones")
    }
    config.set("model_type", to: JSONValue(family.modelType))
    config.set("architectures", to: [JSONValue(family.className)])
    try Self.readTokens(reading, &config)
    config.set("torch_dtype", to: JSONValue(Self.storedType(model)))
    try family.completeConfiguration(reading, &config)
    self.config = .object(JSONObject(config.members.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }))
    isPlain = config["sliding_window"]?.isNull ?? true

    map = try GGUFTensorMap(
      names: model.tensors.map(\.name), family: family, layerCounts: layerCounts, file: reading.file)
    var headDim = try reading.headDim(config)
    if let stated = config["head_dim"]?.intValue { headDim = stated }
    let positionOffset = family.positionOffset(self.config)
    var tensors: [NamedTensor] = []
    var names: [String: String] = [:]
    let basePrefix = try ArchitectureRegistry.basePrefix(modelType: family.modelType)
    for slot in map.slots where !slot.roles.isEmpty {
      let layer = slot.layer.flatMap { number -> LayerSummary? in
        guard number < total else { return nil }
        let counts = layers[layers.indices.contains(number) ? number : number % layers.count]
        return LayerSummary(
          index: number, heads: counts.heads, keyValueHeads: counts.keyValueHeads, headDim: headDim,
          feedForward: counts.feedForward)
      }
      let stored = slot.names.compactMap { reading.tensors[$0] }
      let values = stored.map { Self.matrix($0, slot.row) }
      let context = GGUFTransform.Context(layer: layer, positionOffset: positionOffset)
      for (role, weight) in zip(slot.roles, try slot.read(values, context, file: reading.file)) {
        let name = family.isPrefixed && !slot.row.isHead ? basePrefix + role : role
        tensors.append(NamedTensor(name: name, weight: weight))
        names[name] = slot.names[0]
      }
    }
    self.tensors = tensors
    self.names = names
    self.family = family
    self.layerCounts = layerCounts
  }

  /// Reads the model; errors name GGUF's tensors.
  func imported() throws(FormatError) -> ImportedModel {
    do throws(FormatError) {
      return try ImportedModel(config: config, tensors: tensors, allowingRagged: isRagged)
    } catch {
      var copy = error
      if case .tensor(let name)? = error.subject { copy.subject = .tensor(try storedName(name)) }
      throw copy
    }
  }

  /// What GGUF calls a parameter, whether the file has it or not; the parameter's own name where GGUF has none.
  private func storedName(_ name: String) throws(FormatError) -> String {
    if let stored = names[name] { return stored }
    let prefix = try ArchitectureRegistry.basePrefix(modelType: family.modelType)
    let roles = name.hasPrefix(prefix) ? [name, String(name.dropFirst(prefix.count))] : [name]
    let map = try GGUFTensorMap(roles: roles, family: family, layerCounts: layerCounts) { _ in }
    return map.slots.first?.names.first ?? name
  }

  /// A tensor's numbers; a matrix of one row that was written as a vector is a matrix again.
  static func matrix(_ tensor: GGUFModel.Tensor, _ row: GGUFTensorRow) -> Weight {
    let values = tensor.values
    guard values.shape.rank == 1, row.isMatrix, tensor.name.hasSuffix(".weight") else { return values }
    return values.reshaped([1, values.shape[0]])
  }

  private static func layerCount(_ block: GGUFBlockTable, _ reading: GGUFReading) throws(FormatError) -> Int {
    if block.countKey != "block_count", !reading.metadata.contains(reading.key(block.countKey)) {
      return try reading.layerCount()
    }
    return try reading.layerCount(block.countKey)
  }

  struct Counts: Hashable {
    var heads = 0
    var keyValueHeads = 0
    var feedForward = 0
  }

  /// Reads the rows of the table into a configuration, and gives the counts of every layer.
  private static func readRows(
    _ reading: GGUFReading, _ family: GGUFFamily, layers: Int, _ config: inout JSONObject
  ) throws(FormatError) -> [Counts] {
    var counts = Array(repeating: Counts(), count: layers)
    let heads = try reading.layerCounts("attention.head_count", layers: layers)
    let keyValueHeads = try reading.layerCounts("attention.head_count_kv", layers: layers) ?? heads
    let feedForward = try reading.layerCounts("feed_forward_length", layers: layers)
    for layer in 0..<layers {
      counts[layer] = Counts(
        heads: heads?[layer] ?? 0, keyValueHeads: keyValueHeads?[layer] ?? 0, feedForward: feedForward?[layer] ?? 0)
    }
    let largest = counts.max { ($0.heads, $0.keyValueHeads) < ($1.heads, $1.keyValueHeads) }
    for row in family.metadata {
      if row.isRequired, reading.metadata[row.fullKey(family.architecture)] == nil { throw reading.missing(row.key) }
      if case .layers(let count) = row.source {
        guard let key = row.configKey else { continue }
        switch count {
        case .heads: config.set(key, to: JSONValue(largest?.heads ?? 0))
        case .keyValueHeads: config.set(key, to: JSONValue(largest?.keyValueHeads ?? 0))
        case .feedForward: config.set(key, to: JSONValue(counts.map(\.feedForward).max() ?? 0))
        }
        continue
      }
      // Keys of a known type are checked even where nothing is read into the configuration.
      let value: JSONValue?
      if case .entries = row.source { continue }
      switch row.type {
      case .count: value = try reading.count(row.key).map { JSONValue($0) }
      case .number: value = try reading.number(row.key)
      case .flag: value = try reading.flag(row.key).map { JSONValue($0) }
      case .text: value = try reading.text(row.key).map { JSONValue($0) }
      }
      if let key = row.configKey, let value = value ?? row.fallback { config.set(key, to: value) }
    }
    return counts
  }

  private static func readTokens(_ reading: GGUFReading, _ config: inout JSONObject) throws(FormatError) {
    for (key, name) in [("bos", "bos"), ("eos", "eos"), ("pad", "padding")] {
      guard let id = try reading.count("tokenizer.ggml.\(name)_token_id") else { continue }
      config.set("\(key)_token_id", to: JSONValue(id))
    }
  }

  /// The type that most matrices can be kept in.
  private static func storedType(_ model: GGUFModel) -> String {
    let matrices = model.tensors.filter { $0.shape.rank > 1 }
    let first = matrices.first { $0.name.contains("blk.") } ?? matrices.first
    switch first?.type.elementType {
    case .f16: return "float16"
    case .bf16: return "bfloat16"
    default: return "float32"
    }
  }
}

extension GGUFTensorRow {
  /// Whether the weight has two axes: everything but norms.
  var isMatrix: Bool { !names.contains { $0.hasSuffix("norm") || $0.hasSuffix("norm_2") || $0 == "rope_freqs" } }
}

extension ArchitectureRegistry {
  /// What stands before the names of the base model's tensors in files of a class with a head.
  static func basePrefix(modelType: String) throws(FormatError) -> String {
    try find(ConfigurationReader(["model_type": JSONValue(modelType)], file: nil)).basePrefix
  }
}
