import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

/// A model in an ONNX file.
package struct ONNXStoredModel: StoredModel {
  /// The file as a graph, and what is needed to write it back.
  let imported: ImportedONNXModel
  /// The computation, with types inferred.
  package let graph: Graph
  private let map: DimensionMap
  package let layers: [LayerSummary]
  package let receipt: Receipt?
  private let path: String
  /// The folder that was named instead of the file in it.
  let folder: String?

  /// Opens an `.onnx` file, or a folder with one.
  ///
  /// - Throws: `FormatError` for what the file or its external data do wrong, `GraphError` for a computation that makes no sense.
  init(at path: String) throws {
    self.path = try Self.location(of: path) ?? path
    folder = Directories.kind(of: path) == .directory ? Paths.withoutTrailingSlashes(path) : nil
    imported = try ImportedONNXModel(path: self.path)
    graph = imported.graph
    map = try DimensionMap(graph, options: .graph)
    let receipt = try imported.metadata[receiptKey].map { text throws(FormatError) in
      try Receipt(parsing: Array(text.utf8), path: path)
    }
    self.receipt = receipt
    layers = Self.layers(map, receipt)
  }

  /// The same file with another graph.
  private init(_ model: ONNXStoredModel, graph: Graph) throws(GraphError) {
    imported = model.imported
    self.graph = graph
    map = try DimensionMap(graph, options: .graph)
    layers = map.layers.map(LayerSummary.init)
    receipt = nil
    path = model.path
    folder = model.folder
  }

  package func dropping(layers: [Int]) throws -> any StoredModel {
    try ONNXStoredModel(self, graph: graph.bypassing(map.bypass(ofLayers: layers)))
  }

  package var canLackParts: Bool { true }
  package func lacking(_ parts: [IdlePart]) throws -> any StoredModel {
    try ONNXStoredModel(self, graph: graph.bypassing(parts))
  }

  /// The counts of every layer; what has only one unit left is no dimension any more, and then the receipt tells.
  private static func layers(_ map: DimensionMap, _ receipt: Receipt?) -> [LayerSummary] {
    var found = map.layers.map(LayerSummary.init)
    for plan in receipt?.layers ?? [] {
      while found.count <= plan.index, found.count < (receipt?.layers.count ?? 0) {
        found.append(LayerSummary(index: found.count, heads: 0, keyValueHeads: 0, headDim: 0, feedForward: 0))
      }
      guard found.indices.contains(plan.index) else { continue }
      if let heads = plan.heads, found[plan.index].heads == 0, heads.units.after == 1 {
        found[plan.index].heads = 1
        found[plan.index].keyValueHeads = 1
        found[plan.index].headDim = found.first { $0.headDim > 0 }?.headDim ?? 0
      }
      if let heads = plan.heads, heads.units.after == found[plan.index].heads {
        found[plan.index].keyValueHeads = heads.keptGroups.count
      }
      if let neurons = plan.neurons, found[plan.index].feedForward == 0, neurons.after == 1 {
        found[plan.index].feedForward = 1
      }
    }
    return found
  }

  /// Whether a path names an ONNX file, or a folder whose only model is one.
  static func recognizes(_ path: String) throws(FormatError) -> Bool { try location(of: path) != nil }

  /// The ONNX file that a path names; nil where it names something else.
  private static func location(of path: String) throws(FormatError) -> String? {
    switch Directories.kind(of: path) {
    case .file?:
      if path.hasSuffix(".onnx") { return path }
      let source = try FileSource(path: path)
      return looksLikeONNX(try source.bytes(0..<min(source.size, 64))) ? path : nil
    case .directory?:
      let names = try Directories.names(in: path)
      if names.contains(where: { $0.hasSuffix(".safetensors") || $0.hasSuffix(".safetensors.index.json") }) {
        return nil
      }
      let models = names.filter { $0.hasSuffix(".onnx") }
      return models.count == 1
        ? Paths.join(path, models[0])
        : models.contains(ONNXOutput.nameInFolder)
          ? Paths.join(path, ONNXOutput.nameInFolder) : nil
    default: return nil
    }
  }

  package var format: ModelFormat { .onnx }
  package var className: String? { nil }
  package var modelType: String { "onnx" }
  package var task: ModelTask? { nil }
  package var parameterCount: Int { imported.parameterCount }
  package var storesParametersPlainly: Bool { true }
  package var byteCount: Int { imported.byteCount }
  package var inputPaths: [String] { [path] + imported.externalPaths }

  package var notes: [String] {
    imported.notes + newerOperatorSet
      + map.layers.flatMap { layer in
        map.notes(on: layer).map { "layer \(layer.index) cannot lose some units: \($0)" }
      }
  }

  /// A remark on operators that are newer than those described.
  private var newerOperatorSet: [String] {
    let version = imported.file.model.operatorSetVersion(domain: "") ?? 0
    return version > Int64(Node.currentVersion)
      ? ["operator set \(version) is read as \(Node.currentVersion), the newest that is known"] : []
  }

  package var tokenLimits: TokenLimits { TokenLimits(graph) }

  package func loaderRules(writing format: ModelFormat) -> LoaderRules { .onnx }
  package func dimensionMap() throws(GraphError) -> DimensionMap { map }
  package var tensorLines: [Inspection.TensorLine] {
    imported.tensors.map { tensor in
      Inspection.TensorLine(
        name: tensor.name, type: tensor.type, shape: tensor.extents, bytes: tensor.byteCount, file: tensor.file)
    }
  }

  /// Scalars and shape operands play no part; a matrix that was written transposed plays its original's.
  package var tensorRoles: [TensorRole] {
    tensorLines.compactMap { line in
      let isComputed = line.name.split(separator: "/").last?.hasPrefix("constant") ?? false
      guard line.elementCount > 1, !isComputed, !["I64", "I32", "BOOL"].contains(line.type) else { return nil }
      let isTransposed = line.name.hasSuffix(".transposed") && line.shape.count == 2
      let name = isTransposed ? String(line.name.dropLast(".transposed".count)) : line.name
      return TensorRole(
        role: ArchitectureRegistry.withoutBasePrefix(name), type: line.type,
        shape: isTransposed ? line.shape.reversed() : line.shape, bytes: line.bytes)
    }
  }

  package func storedTensors() throws -> [(name: String, weight: Weight)] { Self.constants(of: imported.graph) }
  /// None: constants are compared where they are used, whatever their names.
  package var initializerNames: Set<String> { [] }

  package func reduced(by plan: CompactionPlan, graph: Graph, carrier: String?) throws -> ReducedModel {
    ReducedModel(tensors: Self.constants(of: graph), parameterCount: imported.parameterCount(of: graph))
  }

  package func prefetch() {
    for file in imported.files { file.prefetch() }
  }

  /// The constants that a graph reads, by the names of its values.
  private static func constants(of graph: Graph) -> [(name: String, weight: Weight)] {
    graph.initializers.compactMap { id in graph[id].initializer.map { (graph[id].name, $0) } }
  }
}

extension LayerSummary {
  /// The counts of a layer that was found in a graph; 0 where it has no such units.
  init(_ units: LayerUnits) {
    self.init(
      index: units.index, heads: units.heads?.count ?? 0, keyValueHeads: units.heads?.groupCount ?? 0,
      headDim: units.heads?.headSize ?? 0, feedForward: units.neurons.map { $0.size * $0.blockSize } ?? 0)
  }
}

extension TokenLimits {
  /// What the tables of a graph admit: the smallest that is read at the tokens themselves.
  init(_ graph: Graph) {
    var vocabulary: Int?
    // Exporters flatten or cast the tokens on their way to the table.
    var tokens = Set(graph.inputs.filter { graph[$0].name.hasSuffix("input_ids") })
    for node in graph.nodes where ["Reshape", "Cast", "Identity", "Flatten"].contains(node.op.name) {
      if let input = node.input(0), tokens.contains(input) { tokens.formUnion(node.outputs.compactMap { $0 }) }
    }
    let readers = ["Gather", "GatherBlockQuantized", "EmbedLayerNormalization", "QEmbedLayerNormalization"]
    for node in graph.nodes where readers.contains(node.op.name) {
      let isEmbedding = node.op.name.hasSuffix("EmbedLayerNormalization")
      guard let table = node.input(isEmbedding ? 2 : 0).flatMap({ graph[$0].initializer }),
        let indices = node.input(isEmbedding ? 0 : 1), tokens.contains(indices), let rows = table.shape.extents.first
      else { continue }
      vocabulary = min(vocabulary ?? rows, rows)
    }
    self.init(vocabulary: vocabulary, positions: nil)
  }
}
