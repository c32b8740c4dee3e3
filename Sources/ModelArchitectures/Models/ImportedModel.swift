import ModelGraph
import PollardBase
import TensorStorage

/// A checkpoint read as a model: a graph over lazy weights, and what is needed to write it back.
///
/// Nothing but names, shapes and the configuration has been looked at; weights stay on disk.
public struct ImportedModel: Sendable {
  /// `model_type` of the configuration.
  public let modelType: String
  /// The class that the graph computes, such as `BertForMaskedLM`.
  public let className: String
  /// What the model's head computes.
  public let task: ModelTask
  /// The configuration as it was read.
  public let config: JSONValue
  /// Its path, for messages.
  public let configPath: String?
  /// The computation. Inputs: `input_ids` and, filled in when left out, `attention_mask`, `token_type_ids`,
  /// `position_ids`. Outputs have transformers' names. Taps `hidden_states.<i>`: 0 is the embeddings, the last comes
  /// after the final norm.
  public let graph: Graph
  /// The parameters with the initializers that stand for them.
  public let bindings: [TensorBinding]
  /// The stored tensors that the graph does not read.
  public let passedThrough: [PassedThroughTensor]
  /// The parameters that were stored as weights and mask.
  public let prunePairs: [PrunePair]
  /// The counts of every layer.
  public let layers: [LayerSummary]
  /// For each layer the query heads' indices before any head was removed, as `pruned_heads` counts them.
  public let originalHeads: [[Int]]
  /// What the stock loaders accept.
  public let loaderRules: LoaderRules
  /// The number of parameters; tied storage counts once, buffers not at all.
  public let parameterCount: Int
  /// Things worth telling about the import, as full sentences without the stop.
  public let notes: [String]

  let architecture: any Architecture
  /// The checkpoint's tensors in their order, prune pairs resolved.
  let tensors: [NamedTensor]

  /// Reads a model from its configuration and tensors.
  ///
  /// - Parameters:
  ///   - config: the content of config.json.
  ///   - configPath: its path, for messages.
  ///   - tensors: the checkpoint's tensors in their order on disk.
  ///   - allowingRagged: takes the counts of each layer from the tensors, for a directory whose receipt says that
  ///     layers differ.
  /// - Throws: `unknownArchitecture`, `unsupportedClass`, `unsupportedConfiguration`, `configurationValue`,
  ///   `quantizedCheckpoint`; `missingTensor`, `unexpectedTensor`, `wrongShape`, `unexpectedParameterType`,
  ///   `duplicateParameter`, `incompletePrunePair`.
  /// - Complexity: O(number of tensors); reads weights only where a tied matrix is stored twice.
  public init(
    config: JSONValue, configPath: String? = nil, tensors stored: [NamedTensor], allowingRagged: Bool = false
  ) throws(FormatError) {
    let reader = try ConfigurationReader(config, file: configPath)
    try reader.refuseQuantization()
    try reader.refuseReplacedNorms()
    let architecture = try ArchitectureRegistry.find(reader)
    let tensors = try CheckpointTensors(stored, basePrefix: architecture.basePrefix)
    let task = try ArchitectureRegistry.task(of: architecture, reader, tensors)
    var builder = ModelBuilder(name: architecture.className(task), tensors: tensors)
    let layers = try architecture.build(reader, task: task, ragged: allowingRagged, into: &builder)
    let passedThrough = try Self.leftOver(builder, architecture, reader, layerCount: layers.count)

    self.modelType = architecture.modelType
    self.className = architecture.className(task)
    self.task = task
    self.config = config
    self.configPath = configPath
    self.graph = builder.graph.graph
    self.bindings = builder.bindings.sorted { $0.position < $1.position }
    self.passedThrough = passedThrough
    self.prunePairs = tensors.tensors.compactMap(\.prunePair)
    self.layers = layers.map(\.summary)
    self.originalHeads = layers.map(\.originalHeads)
    self.loaderRules = architecture.loaderRules(reader, layers: layers)
    let unused = passedThrough.filter { $0.reason == .unused }.map(\.weight.shape)
    self.parameterCount = (bindings.map(\.storedShape) + unused).reduce(0) { $0 + $1.elementCount }
    self.notes = builder.notes
    self.architecture = architecture
    self.tensors = tensors.tensors
  }

  /// The part a stored tensor plays: its name without the base model's prefix, in the newer spelling.
  public func role(of tensor: String) -> String {
    CheckpointTensors.canonicalName(tensor, basePrefix: architecture.basePrefix)
  }

  /// The tensors that the graph does not read, or the first that has no place at all.
  private static func leftOver(
    _ builder: ModelBuilder, _ architecture: any Architecture, _ config: ConfigurationReader, layerCount: Int
  ) throws(FormatError) -> [PassedThroughTensor] {
    var result: [PassedThroughTensor] = []
    for (position, original) in builder.copies {
      let tensor = builder.tensors.tensors[position]
      result.append(
        PassedThroughTensor(name: tensor.name, weight: tensor.weight, reason: .copy(of: original), position: position))
    }
    for (position, name) in builder.tensors.untaken {
      let tensor = builder.tensors.tensors[position]
      let reason: PassedThroughTensor.Reason
      if architecture.isBuffer(name) {
        reason = .buffer
      } else if architecture.belongsToAnotherHead(name) {
        reason = .unused
      } else {
        throw FormatError(
          .unexpectedTensor, file: tensor.file, subject: .tensor(tensor.name),
          expected: "a tensor of a model with \(layerCount) layers, as config.json describes it",
          found: "\(tensor.weight.type)\(tensor.weight.shape)")
      }
      result.append(
        PassedThroughTensor(name: tensor.name, weight: tensor.weight, reason: reason, position: position))
    }
    return result.sorted { $0.position < $1.position }
  }
}

extension ConfigurationReader {
  /// Refuses the configuration of a model whose norms nn_pruning replaced by scales, under the class it had before.
  ///
  /// - Throws: `unsupportedConfiguration`.
  func refuseReplacedNorms() throws(FormatError) {
    let norms = try text("layer_norm_type", default: "layer_norm")
    guard norms == "layer_norm" else {
      throw FormatError(
        .unsupportedConfiguration, file: file, subject: .key("layer_norm_type"), expected: "layer_norm", found: norms)
    }
  }

  /// Refuses a configuration that says the weights are quantised.
  ///
  /// - Throws: `quantizedCheckpoint` naming the method.
  func refuseQuantization() throws(FormatError) {
    for key in ["quantization_config", "compression_config"] {
      guard let value = value(key) else { continue }
      throw FormatError(
        .quantizedCheckpoint, file: file, subject: .key(key), expected: "no such key",
        found: value["quant_method"]?.stringValue ?? value.kindDescription,
        remedy: "use the checkpoint it was made from, or dequantise it first")
    }
  }
}
