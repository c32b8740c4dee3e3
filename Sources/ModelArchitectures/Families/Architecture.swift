import ModelGraph
import PollardBase
import TensorStorage

/// A family of models: how a configuration and named tensors become a graph, and how a changed graph is described
/// again.
protocol Architecture: Sendable {
  /// `model_type` in config.json.
  var modelType: String { get }
  /// How the family's class names begin: `XLMRoberta` of `XLMRobertaForMaskedLM`.
  var classPrefix: String { get }
  /// What stands before the names of the base model's tensors in files of a class with a head.
  var basePrefix: String { get }
  /// The heads that are described.
  var tasks: [ModelTask] { get }
  /// The head that stored parameters show, for a configuration that names no class.
  func task(shownBy isStored: (String) -> Bool) -> ModelTask

  /// The class name of a task.
  func className(_ task: ModelTask) -> String

  /// Whether a tensor is a buffer that old files carry along: no parameter, and not read.
  func isBuffer(_ name: String) -> Bool

  /// Whether a tensor is a parameter of another class of the family, which this class does not read.
  func belongsToAnotherHead(_ name: String) -> Bool

  /// Builds the graph, taking every parameter it needs.
  func build(
    _ config: ConfigurationReader, task: ModelTask, ragged: Bool, into builder: inout ModelBuilder
  ) throws(FormatError) -> [LayerDescription]

  /// The configuration of a changed model: only the keys that change are touched.
  func edited(_ change: ConfigurationChange) throws(FormatError) -> JSONValue

  /// The stacks of layers, in the order in which layers are counted.
  var layerStacks: [LayerStack] { get }

  /// The kind of every layer in the words of `layer_types`, where the configuration tells it by a rule over the layers' numbers; else nil.
  func explicitLayerTypes(_ config: ConfigurationReader) throws(FormatError) -> [String]?

  /// What of a layer depends on its number in a way that no configuration of fewer layers can say; nil for nothing.
  func layerNumberDependence(_ config: ConfigurationReader) throws(FormatError) -> String?

  /// Where the configuration tells the number of residual channels.
  ///
  /// - Throws: `cannotExpress` where another number would change what the class computes otherwise.
  func widthKeys(_ config: ConfigurationReader) throws(FormatError) -> WidthKeys

  /// Whether query heads can share key/value heads.
  var sharesKeyValueHeads: Bool { get }
  /// Whether the feed-forward network multiplies by a gate.
  var isGated: Bool { get }

  /// What the stock loaders accept of removed units.
  func loaderRules(_ config: ConfigurationReader, layers: [LayerDescription]) -> LoaderRules
}

extension Architecture {
  var sharesKeyValueHeads: Bool { self is LlamaArchitecture }
  var isGated: Bool { self is LlamaArchitecture }

  func className(_ task: ModelTask) -> String { classPrefix + task.classSuffix }
}

/// Which heads and neurons one layer has.
struct LayerDescription: Sendable, Hashable {
  /// The counts.
  var summary: LayerSummary
  /// For each query head the index it had before any head of the layer was removed.
  var originalHeads: [Int]
}

/// What changed in a model whose configuration is to be written again.
struct ConfigurationChange {
  /// The configuration as it was read.
  var config: JSONValue
  /// The path named in errors.
  var file: String?
  /// The head the model has.
  var task: ModelTask
  /// The layers as they were imported.
  var before: [LayerDescription]
  /// The layers now.
  var after: [LayerSummary]
  /// For each layer the kept query heads, numbered as they were imported.
  var keptHeads: [[Int]]
  /// The `model_type` under which the result is to be written; nil for the original's own.
  var carrier: String?

  /// Whether any layer has other head counts than before.
  var changesHeads: Bool {
    zip(before, after).contains { $0.summary.heads != $1.heads || $0.summary.keyValueHeads != $1.keyValueHeads }
      || before.count != after.count
  }

  /// Whether any layer has another feed-forward width than before.
  var changesFeedForward: Bool { zip(before, after).contains { $0.summary.feedForward != $1.feedForward } }

  /// Largest feed-forward width.
  var feedForward: Int { after.map(\.feedForward).max() ?? 0 }
}
