import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

/// A model in a GGUF file, or in the parts of a split one.
package struct GGUFStoredModel: StoredModel {
  /// The files.
  let checkpoint: GGUFCheckpoint
  /// The model as its architecture reads it.
  let imported: ImportedGGUFModel
  package let receipt: Receipt?
  private let droppedLayers: [Int]
  /// Whether the model was rewritten after reading.
  private var isRewritten = false

  /// Opens a file, or any part of a split one.
  ///
  /// - Throws: `FormatError` for what the file does wrong, or says of a model that is not described.
  init(at path: String) throws {
    try self.init(GGUFCheckpoint(at: path), dropping: [])
  }

  private init(_ checkpoint: GGUFCheckpoint, dropping layers: [Int]) throws {
    self.checkpoint = checkpoint
    droppedLayers = layers
    imported = try ImportedGGUFModel(checkpoint: checkpoint, dropping: layers)
    let path = checkpoint.path
    receipt =
      layers.isEmpty
      ? try checkpoint.metadata[receiptKey]?.text.map { text throws(FormatError) in
        try Receipt(parsing: Array(text.utf8), path: path)
      } : nil
    try receipt?.requireFits(imported.model.layers)
  }

  package func dropping(layers: [Int]) throws -> any StoredModel {
    try GGUFStoredModel(checkpoint, dropping: layers)
  }

  /// The file with another model in its place.
  private init(_ model: GGUFStoredModel, rewrittenAs imported: ImportedGGUFModel) {
    checkpoint = model.checkpoint
    droppedLayers = model.droppedLayers
    receipt = nil
    self.imported = imported
    isRewritten = true
  }

  package var rewritable: ImportedModel? { imported.model }
  package func narrowed(_ change: WidthChange) throws -> any StoredModel {
    GGUFStoredModel(self, rewrittenAs: try imported.narrowed(change))
  }

  package var format: ModelFormat { .gguf }
  package var graph: Graph { imported.model.graph }
  package var className: String? { imported.model.className }
  package var modelType: String { imported.architecture }
  package var task: ModelTask? { imported.model.task }
  package var layers: [LayerSummary] { imported.model.layers }
  package var parameterCount: Int { imported.model.parameterCount }
  package var storesParametersPlainly: Bool { droppedLayers.isEmpty && !isRewritten }
  package var byteCount: Int { checkpoint.fileSize }
  package var notes: [String] { imported.notes }
  package var inputPaths: [String] { checkpoint.files.map(\.source.path) }
  package var configuration: JSONValue? { imported.model.config }
  package var importedModel: ImportedModel? { imported.model }
  package var loaderRemarks: [String] { imported.loaderRemarks }
  package var tokenLimits: TokenLimits { TokenLimits(configuration: imported.model.config, imported.model.modelType) }

  package func loaderRules(writing format: ModelFormat) -> LoaderRules {
    switch format {
    case .gguf: imported.loaderRules
    case .onnx: .onnx
    case .safetensors: imported.model.loaderRules
    }
  }

  package func dimensionMap() throws(GraphError) -> DimensionMap { try DimensionMap(graph) }

  package var tensorLines: [Inspection.TensorLine] { Inspection.lines(of: checkpoint) }

  package var tensorRoles: [TensorRole] {
    imported.model.bindings.map { binding in
      let stored = imported.storage(of: binding.tensor)
      return TensorRole(
        role: imported.model.role(of: binding.tensor), type: stored?.type.name ?? binding.storedType.name,
        shape: binding.storedShape.extents, bytes: stored?.byteCount ?? 0)
    }
  }

  package func storedTensors() throws -> [(name: String, weight: Weight)] {
    imported.source.tensors.map { ($0.name, $0.weight) }
  }

  package var initializerNames: Set<String> { Set(imported.model.bindings.map(\.initializer)) }

  package func checkpointTensors(
    after cut: (plan: CompactionPlan, graph: Graph)?
  ) throws -> [(role: String, weight: Weight)]? { try imported.model.tensorsByRole(after: cut) }

  package func reduced(by plan: CompactionPlan, graph: Graph, carrier: String?) throws -> ReducedModel {
    var model: GGUFModel?
    var failure: FormatError?
    do throws(FormatError) {
      model = try imported.exported(
        graph: graph, layers: Model.layers(layers, after: plan),
        keptHeads: zip(plan.layers, layers).map { $0.heads?.units.kept ?? Array(0..<$1.heads) }, carrier: carrier)
    } catch { failure = error }
    let exported = try imported.model.exported(after: (plan, graph))
    var sizes: [String: Int] = [:]
    for tensor in exported.tensors { sizes[tensor.name] = tensor.weight.shape.elementCount }
    var parameters = parameterCount
    for binding in imported.model.bindings {
      if let after = sizes[binding.tensor] { parameters += after - binding.storedShape.elementCount }
    }
    return ReducedModel(
      tensors: model?.tensors.map { ($0.name, $0.weight) } ?? exported.tensors.map { ($0.name, $0.weight) },
      parameterCount: parameters, configuration: exported.config, gguf: model, failure: failure)
  }

  package func prefetch() {
    for file in checkpoint.files { file.source.prefetch() }
  }

  package var tokenizerFacts: [(name: String, value: String)]? {
    tokenizer.facts
  }

  /// The tokenizer's entries of the metadata.
  var tokenizer: TokenizerMetadata { TokenizerMetadata(checkpoint.metadata) }
}

extension Inspection {
  /// The lines of a GGUF file, in the order of its parts; extents outermost first.
  static func lines(of checkpoint: GGUFCheckpoint) -> [TensorLine] {
    checkpoint.tensors.map { tensor in
      TensorLine(
        name: tensor.name, type: tensor.type.name, shape: tensor.shape.extents, bytes: tensor.byteRange.count,
        file: checkpoint.fileNames[tensor.fileIndex])
    }
  }
}
