import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

/// A model as it lies on disk in one format: its computation, its tensors, and how it is written after a cut.
package protocol StoredModel: Sendable {
  /// The format.
  var format: ModelFormat { get }
  /// The name of the format that reports show.
  var formatName: String { get }
  /// The computation over lazy weights.
  var graph: Graph { get }
  /// The class the model computes, such as `BertForMaskedLM`; nil where the format does not say.
  var className: String? { get }
  /// What the receipt of a compaction calls the model: `model_type` of the configuration, or the format's name.
  var modelType: String { get }
  /// What the model's head computes; nil where the format does not say.
  var task: ModelTask? { get }
  /// The counts of every layer.
  var layers: [LayerSummary] { get }
  /// The number of parameters; tied storage once, buffers not at all.
  var parameterCount: Int { get }
  /// Whether every parameter is stored as it is computed with, so that nothing to remove means a copy.
  var storesParametersPlainly: Bool { get }
  /// Bytes of the files that hold weights.
  var byteCount: Int { get }
  /// Sentences about what was found while reading.
  var notes: [String] { get }
  /// Sentences about masks that are stored with the weights, and in whose convention.
  var maskNotes: [String] { get }
  /// What a compaction by this tool left with the model.
  var receipt: Receipt? { get }
  /// The files and folders that no output may replace.
  var inputPaths: [String] { get }
  /// What the tokens of random inputs may be.
  var tokenLimits: TokenLimits { get }

  /// The model without some layers, the others numbered anew.
  ///
  /// - Throws: `cannotExpress` where that is no model of the format.
  func dropping(layers: [Int]) throws -> any StoredModel
  /// Whether the format can hold a layer without its attention or its feed-forward network.
  var canLackParts: Bool { get }
  /// The model without parts of layers that add nothing.
  func lacking(_ parts: [IdlePart]) throws -> any StoredModel

  /// The same function under a class whose attention adds a bias to its output, zero so far, so that constants can be folded into it; nil where
  /// no such class is known or the model's own is one.
  func withOutputBiases() throws -> (any StoredModel)?
  /// Whether attention adds a bias to its output.
  var hasOutputBiases: Bool { get }
  /// The checkpoint whose tensors and configuration can be rewritten for fewer residual channels; nil where the format has none.
  var rewritable: ImportedModel? { get }
  /// The model with its checkpoint rewritten for fewer residual channels.
  func narrowed(_ change: WidthChange) throws -> any StoredModel

  /// The model with some of its tokens, ids numbered anew.
  ///
  /// - Throws: `optionDoesNotApply` where the format has no tokenizer files to rewrite, and what `VocabularyTrimming` throws.
  func keeping(tokens: TokenSelection) throws -> (model: any StoredModel, vocabulary: TrimmedVocabulary)

  /// The tensors that masks of single parameters may name.
  var maskableTensors: [NamedTensor] { get }
  /// The model with factors multiplied into some of its tensors; each has its tensor's shape, or extents of 1.
  ///
  /// - Parameters:
  ///   - factors: by the names of `maskableTensors`.
  ///   - note: a sentence about them for reports.
  /// - Throws: `optionDoesNotApply` where the format has no such tensors.
  func multiplied(by factors: [String: Weight], note: String) throws -> any StoredModel

  /// What stock loaders of a format accept of this model.
  func loaderRules(writing format: ModelFormat) throws -> LoaderRules
  /// The units that can be removed.
  func dimensionMap() throws(GraphError) -> DimensionMap
  /// The tensors as the file has them, for listing.
  var tensorLines: [Inspection.TensorLine] { get }
  /// The tensors by name, as a proof compares them.
  func storedTensors() throws -> [(name: String, weight: Weight)]
  /// The names of initializers that stand for stored tensors.
  var initializerNames: Set<String> { get }
  /// The model after a plan, whose graph is given: what is to be written.
  func reduced(by plan: CompactionPlan, graph: Graph, carrier: String?) throws -> ReducedModel
  /// Writes the model, or what a cut leaves of it, to where it can be verified.
  ///
  /// - Throws: `CompactionError` for what the output's format cannot hold, and what reading and writing throws.
  func stage(_ request: StagingRequest) throws -> StagedOutput

  /// Begins to bring the weights into the system's cache.
  func prefetch()

  /// Compares the checksums of formats that have them, before everything is read.
  ///
  /// - Throws: `checksumMismatch`.
  func checkIntegrity(pool: ThreadPool) throws(FormatError)

  /// The configuration in the terms of a Hugging Face checkpoint; nil where the format holds none.
  var configuration: JSONValue? { get }
  /// The stored tensors by the part they play.
  var tensorRoles: [TensorRole] { get }
  /// The tensors by the part they play, in the orientation of a Hugging Face checkpoint, before or after a cut; nil where the format has no such
  /// tensors.
  func checkpointTensors(after cut: (plan: CompactionPlan, graph: Graph)?) throws -> [(role: String, weight: Weight)]?
  /// The model as its architecture reads it; nil for a graph without one.
  var importedModel: ImportedModel? { get }
  /// What the format's own loader computes otherwise than this model, in sentences.
  var loaderRemarks: [String] { get }
  /// What is known of the tokenizer that comes with the model; nil where nothing is.
  var tokenizerFacts: [(name: String, value: String)]? { get }
}

extension StoredModel {
  package var formatName: String { format.rawValue }
  package var maskNotes: [String] { [] }
  package func checkIntegrity(pool: ThreadPool) throws(FormatError) {}
  package func withOutputBiases() throws -> (any StoredModel)? { nil }
  package var hasOutputBiases: Bool { false }
  package var rewritable: ImportedModel? { nil }
  package func narrowed(_ change: WidthChange) throws -> any StoredModel { self }
  package var canLackParts: Bool { false }
  package func lacking(_ parts: [IdlePart]) throws -> any StoredModel { self }
  package var maskableTensors: [NamedTensor] { [] }
  package func multiplied(by factors: [String: Weight], note: String) throws -> any StoredModel {
    throw CompactionError(
      .optionDoesNotApply, subject: .option("--masks"), expected: "masks of heads and neurons",
      found: "masks of single parameters for a model in \(format.rawValue)",
      remedy: "mask the checkpoint that it was made from")
  }
  package var configuration: JSONValue? { nil }
  package var importedModel: ImportedModel? { nil }
  package var loaderRemarks: [String] { [] }
  /// The part that each initializer of the graph plays which stands for a parameter; nil for a graph without an architecture.
  package var initializerRoles: [String: String]? { importedModel?.initializerRoles }
  /// What the graph's initializers have in addition to the parameters of a part.
  package var addends: [String: Float] { importedModel?.addends ?? [:] }
  package func checkpointTensors(
    after cut: (plan: CompactionPlan, graph: Graph)?
  ) throws -> [(role: String, weight: Weight)]? { nil }
  package var tokenizerFacts: [(name: String, value: String)]? { nil }
  package var tensorRoles: [TensorRole] {
    tensorLines.map {
      TensorRole(
        role: ArchitectureRegistry.withoutBasePrefix($0.name), type: $0.type, shape: $0.shape, bytes: $0.bytes)
    }
  }
}

/// What reports call a checkpoint in files of `torch.save`, which are read only.
let pytorchFormatName = "pytorch"

/// Bounds of the numbers that random inputs are made of.
package struct TokenLimits: Sendable {
  /// The number of different tokens.
  var vocabulary: Int?
  /// The longest sequence.
  var positions: Int?
  /// The number of different token types.
  var types: Int?
}

/// A model after a cut, in the terms of its format, before it is written.
package struct ReducedModel: Sendable {
  /// The tensors by the name they are written under.
  var tensors: [(name: String, weight: Weight)]
  /// The number of parameters.
  var parameterCount: Int
  /// The configuration of a Hugging Face directory.
  var configuration: JSONValue?
  /// The keys and tensors of a GGUF file.
  var gguf: GGUFModel?
  /// Why the model's own format cannot hold what is left, where another may.
  var failure: FormatError?

  /// The tensors whose packed numbers are rounded anew because a cut goes through their blocks.
  var roundedTensors: [String] {
    (gguf?.requantizations ?? []).filter { $0.from.blockFormat != nil }.map(\.tensor)
  }

  /// Bytes of all tensors.
  var byteCount: Int { tensors.reduce(0) { $0 + $1.weight.byteCount } }
}
