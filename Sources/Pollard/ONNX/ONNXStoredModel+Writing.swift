import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

extension ONNXStoredModel {
  /// Writes the model after a cut as an edit of the file it was read from.
  package func stage(_ request: StagingRequest) throws -> StagedOutput {
    guard request.format == .onnx, let cut = request.cut else {
      throw Model.cannotWrite(request.format, from: .onnx)
    }
    let options = request.options
    guard options.opset == nil else {
      throw CompactionError(
        .optionDoesNotApply, subject: .option("--opset"), expected: "the operator set of the input",
        found: "another one", remedy: "leave --opset out; an ONNX model keeps its own")
    }
    let model = try imported.exported(
      graph: cut.graph, metadata: cut.receipt.map { [receiptKey: String(decoding: $0, as: UTF8.self)] } ?? [:])
    let place = try ONNXOutput(path: request.output, inputs: request.inputs, options: options)
    var staged = try place.write(
      model, placement: imported.externalPaths.isEmpty ? .automatic : .external,
      externalFiles: imported.file.externalFiles, pool: request.pool)
    if let folder, place.isFolder { staged.leftBehind = try copyCompanions(of: folder, to: place.directory) }
    staged.notes = try dimensionMap().interfaceChanges(to: cut.graph).map(\.text)
    return staged
  }

  /// Copies the tokenizer, the configuration and whatever else lies beside the model; gives what stays behind: other models, and folders.
  private func copyCompanions(of folder: String, to output: AtomicDirectory) throws(FormatError) -> [String] {
    let own = Set(inputPaths.map { Paths.lastComponent($0) })
    var leftBehind: [String] = []
    for name in try Directories.names(in: folder).sorted() where !own.contains(name) {
      let path = Paths.join(folder, name)
      let isModel = [".onnx", ".data", ".onnx_data", ".safetensors", ".bin"].contains(where: name.hasSuffix)
      if Directories.kind(of: path) == .file, !isModel {
        try output.copyFile(path, as: name)
      } else {
        leftBehind.append(name)
      }
    }
    return leftBehind
  }
}
