import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

/// A model in a Hugging Face directory.
package struct HuggingFaceModel: StoredModel {
  /// The files.
  let folder: HuggingFaceFolder
  /// The model as its architecture reads it.
  private(set) var imported: ImportedModel
  package private(set) var receipt: Receipt?
  /// The numbers of the layers that were left out after reading.
  private(set) var droppedLayers: [Int] = []
  /// The tensors, masked, and without those of dropped layers and the rows of removed tokens.
  private(set) var tensors: [NamedTensor]
  /// The tokenizer's files for the tokens that stay, when some were removed after reading.
  private(set) var tokenizerFiles: TokenizerFiles?
  /// The files beside the weights that are written instead of the folder's own.
  private(set) var rewrittenFiles: [(name: String, bytes: [UInt8])] = []
  /// The names of files that are not carried over.
  private(set) var omittedFiles: Set<String> = []
  /// Whether the counts of layers come from the tensors.
  private let allowsRagged: Bool
  /// Parameters that are zero and not in the files: biases that another class has.
  private var addedParameters = 0
  /// Whether the checkpoint was rewritten after reading.
  private var isRewritten = false
  /// Sentences about masks that were multiplied in.
  private var multipliedNotes: [String] = []
  /// Whether the tensors differ from those of the files.
  private var isMultiplied = false

  /// Opens a directory, a weight file in one, or its shard index.
  ///
  /// - Parameters:
  ///   - allowingRagged: takes per-layer counts from the tensors; a directory with a receipt is read so in any case.
  ///   - scores: what is said of mask scores that are stored with the weights.
  init(at path: String, allowingRagged: Bool, scores: ScoreRequest = ScoreRequest()) throws {
    folder = try HuggingFaceFolder(at: path)
    receipt = try Receipt(folder: folder.checkpoint.location.folder)
    allowsRagged = allowingRagged || receipt != nil
    let masking = try folder.masked(by: scores)
    imported = try folder.model(masking, allowingRagged: allowsRagged)
    tensors = masking.tensors
    multipliedNotes = masking.notes
    isMultiplied = masking.isMasked
    try receipt?.requireFits(imported.layers)
  }

  /// The model with another checkpoint in its place; what was noted of it before stays.
  private func rewritten(_ config: JSONValue, _ tensors: [NamedTensor]) throws -> HuggingFaceModel {
    var model = self
    model.tensors = tensors
    model.imported = try ImportedModel(
      config: config, configPath: folder.configPath, tensors: tensors, allowingRagged: allowsRagged)
    return model
  }

  package func multiplied(by factors: [String: Weight], note: String) throws -> any StoredModel {
    var model = try rewritten(
      imported.config,
      tensors.map { tensor in
        var tensor = tensor
        if let factor = factors[tensor.name] { tensor.weight = tensor.weight.multiplied(by: factor) }
        return tensor
      })
    model.multipliedNotes.append(note)
    model.isMultiplied = true
    return model
  }

  package var maskableTensors: [NamedTensor] { tensors }

  package func withOutputBiases() throws -> (any StoredModel)? {
    guard let (config, tensors) = try imported.withOutputBiases() else { return nil }
    var model = try rewritten(config, tensors)
    model.addedParameters += model.imported.parameterCount - imported.parameterCount
    return model
  }

  package var hasOutputBiases: Bool { imported.hasOutputBiases }

  /// The model with fewer tokens.
  func trimmed(_ trimming: VocabularyTrimming, omitting omitted: [String]) throws -> HuggingFaceModel {
    var model = try rewritten(trimming.config, trimming.tensors)
    model.receipt = nil
    model.tokenizerFiles = trimming.files
    model.rewrittenFiles = trimming.changedFiles
    model.omittedFiles = Set(omitted)
    return model
  }

  package func dropping(layers: [Int]) throws -> any StoredModel {
    let rest = try LayerDropping(layers, config: imported.config, configPath: folder.configPath, tensors: tensors)
    var model = try rewritten(rest.config, rest.tensors)
    model.receipt = nil
    model.droppedLayers = layers
    return model
  }

  package var rewritable: ImportedModel? { imported }
  package func narrowed(_ change: WidthChange) throws -> any StoredModel {
    var model = self
    model.receipt = nil
    model.imported = try imported.narrowed(change, allowingRagged: allowsRagged)
    model.tensors = model.imported.storedTensors
    model.isRewritten = true
    return model
  }

  package var format: ModelFormat { .safetensors }
  package var formatName: String { folder.checkpoint.isPyTorch ? pytorchFormatName : format.rawValue }
  package var graph: Graph { imported.graph }
  package var className: String? { imported.className }
  package var modelType: String { imported.modelType }
  package var task: ModelTask? { imported.task }
  package var layers: [LayerSummary] { imported.layers }
  package var parameterCount: Int { imported.parameterCount - addedParameters }
  package var storesParametersPlainly: Bool {
    imported.prunePairs.isEmpty && !isMultiplied && droppedLayers.isEmpty && !isRewritten
      && tokenizerFiles == nil && !folder.checkpoint.isPyTorch && addedParameters == 0
  }
  package var byteCount: Int { folder.checkpoint.files.reduce(0) { $0 + $1.source.size } }

  package var notes: [String] { folder.checkpoint.notes + imported.notes + maskNotes }

  package var maskNotes: [String] {
    let pairs = imported.prunePairs.count
    return multipliedNotes
      + (pairs > 0 ? ["\(pairs) parameters are stored as torch.nn.utils.prune pairs and read multiplied out"] : [])
  }

  package var inputPaths: [String] {
    let checkpoint = folder.checkpoint
    return [folder.configPath] + checkpoint.files.map(\.source.path) + [checkpoint.location.index].compactMap(\.self)
  }

  package var tokenLimits: TokenLimits { TokenLimits(configuration: imported.config, imported.modelType) }

  package func loaderRules(writing format: ModelFormat) throws -> LoaderRules {
    switch format {
    case .onnx: .onnx
    case .gguf: try .gguf(converting: imported)
    case .safetensors: imported.loaderRules
    }
  }

  package func dimensionMap() throws(GraphError) -> DimensionMap { try DimensionMap(graph) }

  package var tensorLines: [Inspection.TensorLine] { Inspection.lines(of: folder.checkpoint) }

  /// Prune pairs and masks are multiplied out, as the proof expects them.
  package func storedTensors() throws -> [(name: String, weight: Weight)] {
    if imported.prunePairs.isEmpty { return withoutSharedCopies(tensors.map { ($0.name, $0.weight) }) }
    return withoutSharedCopies(try imported.exported().tensors.map { ($0.name, $0.weight) })
  }

  /// Tensors without the second names of those that a PyTorch file stores once and names twice, as tied matrices are: stock loaders
  /// tie them again, and safetensors has no shared storage.
  func withoutSharedCopies(_ list: [(name: String, weight: Weight)]) -> [(name: String, weight: Weight)] {
    guard folder.checkpoint.isPyTorch else { return list }
    var weights: [String: Weight] = [:]
    for tensor in tensors { weights[tensor.name] = tensor.weight }
    var shared: Set<String> = []
    for tensor in imported.passedThrough {
      if case .copy(let original) = tensor.reason, tensor.weight == weights[original] { shared.insert(tensor.name) }
    }
    return list.filter { !shared.contains($0.name) }
  }

  package var initializerNames: Set<String> { Set(imported.bindings.map(\.initializer)) }

  package func checkpointTensors(
    after cut: (plan: CompactionPlan, graph: Graph)?
  ) throws -> [(role: String, weight: Weight)]? { try imported.tensorsByRole(after: cut) }

  package func reduced(by plan: CompactionPlan, graph: Graph, carrier: String?) throws -> ReducedModel {
    // A carrier that is none of the configuration's is GGUF's, which the conversion takes.
    let own = carrier.flatMap { name in imported.loaderRules.rows.contains { $0.carrier == name } ? name : nil }
    let exported = try imported.exported(after: (plan, graph), carrier: own)
    var sizes: [String: Int] = [:]
    for tensor in exported.tensors { sizes[tensor.name] = tensor.weight.shape.elementCount }
    var parameters = imported.parameterCount
    for binding in imported.bindings {
      parameters += (sizes[binding.tensor] ?? 0) - binding.storedShape.elementCount
    }
    return ReducedModel(
      tensors: withoutSharedCopies(exported.tensors.map { ($0.name, $0.weight) }), parameterCount: parameters,
      configuration: exported.config
    )
  }

  package var configuration: JSONValue? { imported.config }
  package var importedModel: ImportedModel? { imported }

  package var tensorRoles: [TensorRole] {
    tensorLines.map {
      TensorRole(role: imported.role(of: $0.name), type: $0.type, shape: $0.shape, bytes: $0.bytes)
    }
  }

  package func prefetch() {
    for file in folder.checkpoint.files { file.source.prefetch() }
  }

  package func checkIntegrity(pool: ThreadPool) throws(FormatError) {
    try folder.checkpoint.checkIntegrity(pool: pool)
  }

  /// The configuration's text: the input's own bytes when nothing changed, else in the input's style.
  func configurationBytes(_ config: JSONValue) -> [UInt8] {
    if config == folder.config { return folder.configBytes }
    let text = config.serializedBytes(.pretty, strings: .matching(folder.configBytes))
    return folder.configBytes.last == 0x0a ? text + [0x0a] : text
  }
}
