import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

extension ONNXStoredModel {
  /// Writes the model after a cut as an edit of the file it was read from.
  func stage(
    _ graph: Graph, reduced: ReducedModel, plan: CompactionPlan, to output: String, inputs: [String],
    options: WriteOptions, pool: ThreadPool
  ) throws -> StagedOutput {
    guard options.opset == nil else {
      throw CompactionError(
        .notExpressible, subject: .option("--opset"), expected: "the operator set of the input",
        found: "another one", remedy: "leave --opset out; an ONNX model keeps its own")
    }
    let receipt =
      plan.changesNothing
      ? nil
      : Receipt.text(plan, parameters: (parameterCount, reduced.parameterCount), modelType: modelType)
    let model = try imported.exported(
      graph: graph, metadata: receipt.map { [receiptKey: String(decoding: $0, as: UTF8.self)] } ?? [:])
    var staged = try ONNXOutput(path: output, inputs: inputs, options: options).write(
      model, placement: imported.externalPaths.isEmpty ? .automatic : .external,
      externalFiles: imported.file.externalFiles, pool: pool)
    staged.notes = try dimensionMap().interfaceChanges(to: graph).map(\.text)
    return staged
  }
}
