import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// An ONNX file read as a graph, with what is needed to write it back.
public struct ImportedONNXModel: Sendable {
  /// The messages.
  public let file: ONNXFile
  /// The computation.
  public let graph: Graph
  /// Sentences about what was found.
  public let notes: [String]
  let names: [ValueID: ByteString]
  let folded: [ValueID: ONNXGraphReader.FoldedConstant]

  /// Opens a file.
  public init(path: String) throws {
    file = try ONNXFile(path: path)
    var reader = ONNXGraphReader(file)
    try reader.read()
    graph = reader.graph
    names = reader.names
    folded = reader.folded
    notes = reader.notes
  }
}
