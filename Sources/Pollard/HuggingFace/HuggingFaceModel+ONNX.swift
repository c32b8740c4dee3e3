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
  /// - Throws: `unsupported` for an operator set that is not written, and what reading and writing throws.
  func stageONNX(_ request: StagingRequest) throws -> StagedOutput {
    let export = try request.export(imported)
    let place = try ONNXOutput(path: request.output, inputs: request.inputs, options: request.options)
    var staged = try place.write(export.model, pool: request.pool)
    staged.notes = export.notes
    if place.isFolder {
      let writer = CheckpointWriter(
        source: folder.checkpoint, tensors: [],
        configuration: configurationBytes(request.cut?.reduced.configuration ?? folder.config),
        extraFiles: rewrittenFiles,
        options: request.options, omittedFiles: omittedFiles)
      staged.leftBehind = try writer.writeCompanions(to: place.directory).leftBehind
    }
    return staged
  }
}
