import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// An ONNX file as a graph over lazy weights, with what is needed to write a changed graph back as an edit of the file.
///
///     let model = try ImportedONNXModel(path: "model.onnx")
///     let edited = try model.exported(graph: smaller, metadata: ["pollard.compaction": receipt])
///     try ONNXWriter(edited, to: "small.onnx", externalFiles: model.file.externalFiles).write(threads: pool)
///
/// Operators stay as they are in the file. `Constant` nodes, and `Identity`, `Transpose`, `Cast`, `Squeeze`, `Unsqueeze`, `Reshape`,
/// small integer `Concat` and `ConstantOfShape` of constants are constants of the graph; each use can be replaced alone. Branches of `If`
/// are regions. Nodes with other subgraphs stay whole, with the outer values that those use as operands after their own. Calls of the
/// model's functions are replaced by the functions' nodes.
public struct ImportedONNXModel: Sendable {
  /// The file.
  public let file: ONNXFile
  /// The computation. Value names are those of the file, repaired where they are not UTF-8 and numbered where they would be equal.
  public let graph: Graph
  /// Things worth telling about the import, as full sentences without the stop.
  public let notes: [String]

  /// The message tree that the graph was made from: the file's, or that with the functions' nodes in the place of calls.
  let model: ONNXModel
  let containers: [ONNXContainer]
  let values: [ONNXFileValue]
  /// The file's value of each value of the graph.
  let fileValues: [Int]
  let sources: [ONNXSource]
  /// The names of sizes in the file, by the symbol of the graph.
  let sizeNames: [String: ByteString]
  /// Why nodes of functions cannot stand in the model's graph, when they cannot.
  let inliningConflict: String?

  /// Opens a file and makes a graph of it.
  ///
  /// - Throws: as `ONNXFile(path:)` and `init(_:)`.
  public init(path: String) throws { try self.init(ONNXFile(path: path)) }

  /// Makes a graph of a file.
  ///
  /// - Throws: `FormatError` with `unsupportedValueType`, `callMismatch`, `tooManyRecords`, and the codes of tensors and external data;
  ///   `GraphError` when shapes do not fit together.
  /// - Complexity: O(records); no weights are read but small lists of integers.
  public init(_ file: ONNXFile) throws {
    var inliner = ONNXInliner(file.model)
    let model = try inliner.inlined()
    var importer = ONNXImporter(file, model, versions: inliner.versions)
    do throws(FormatError) { try importer.read() } catch { throw error.inFile(file.source.path) }
    var graph = importer.graph
    do throws(GraphError) { _ = try ShapeInference.inferAll(&graph) } catch { throw error.inFile(file.source.path) }
    self.file = file
    self.graph = graph
    self.model = model
    containers = importer.containers
    values = importer.values
    fileValues = importer.fileValues
    sources = importer.sources
    sizeNames = importer.sizeNames
    inliningConflict = inliner.conflict
    notes = importer.notes + inliner.notes
  }

  /// The value that stands for the result of a name of the model's own graph.
  ///
  /// - Complexity: O(values).
  public func value(named name: ByteString) -> ValueID? {
    values.first { $0.name == name && $0.container == 0 }?.id
  }
}
