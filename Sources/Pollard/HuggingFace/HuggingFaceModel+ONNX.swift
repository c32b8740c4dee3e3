import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

extension HuggingFaceModel {
  /// Writes the model, or its graph after a cut, as ONNX.
  ///
  /// An output whose name ends in `.onnx` is that file; any other is a folder with `model.onnx` and everything that lies beside the weights.
  ///
  /// - Parameters:
  ///   - graph: the graph after a cut; nil for the model's own.
  ///   - receipt: the record of the compaction, for the model's metadata.
  /// - Throws: `unsupported` for an operator set that is not written, and what reading and writing throws.
  func stageONNX(
    graph: Graph? = nil, reduced: ReducedModel, receipt: [UInt8]? = nil, type: ElementType? = nil, to output: String,
    inputs: [String], options: WriteOptions, pool: ThreadPool
  ) throws -> StagedOutput {
    var choice = ONNXExport.Options()
    if let opset = options.opset { choice.operatorSet = opset }
    choice.type = type
    choice.producerVersion = pollardVersion
    if let receipt { choice.metadata = [(key: receiptKey, value: String(decoding: receipt, as: UTF8.self))] }
    let export = try ONNXExport(imported, graph: graph, options: choice)
    let place = try ONNXOutput(path: output, inputs: inputs, options: options)
    var staged = try place.write(export.model, pool: pool)
    staged.notes = export.notes
    if place.isFolder {
      let writer = CheckpointWriter(
        source: folder.checkpoint, tensors: [],
        configuration: configurationBytes(reduced.configuration ?? folder.config), extraFiles: [], options: options)
      staged.leftBehind = try writer.writeCompanions(to: place.directory).leftBehind
    }
    return staged
  }
}
