import CheckpointFormats
import GraphExecution
import ModelArchitectures
import ModelGraph
import PollardBase

/// A model of one operator with its operands, and what ONNX Runtime gives for it, as `tools/make-operator-cases` writes them.
struct OperatorCase {
  let name: String
  let path: String

  static func all(in folder: String) -> [OperatorCase] {
    BackendCase.entries(of: folder).filter { $0.hasSuffix(".onnx") }.map {
      OperatorCase(name: String($0.dropLast(5)), path: "\(folder)/\($0)")
    }
  }

  /// The operators of the model.
  func operators() throws -> [OperatorName] { try ImportedONNXModel(path: path).graph.nodes.map(\.op) }

  /// What differs in each result, single precision being that of both sides.
  func differences(on threads: ThreadPool, precision: ComputingPrecision = .declared) throws -> [String] {
    let model = try ImportedONNXModel(path: path)
    let file = model.file
    let executor = try GraphExecutor(model.graph, threads: threads, precision: precision)
    let results = try executor.run(inputs: [:])
    var found: [String] = []
    for (index, output) in file.graph.outputs.enumerated() {
      let name = output.name?.description ?? ""
      guard let expected = file.graph.initializers.first(where: { $0.name?.description == "expected.\(name)" }) else {
        continue
      }
      guard let result = results[executor.graph[executor.graph.outputs[index]].name] else {
        found.append("\(name): none")
        continue
      }
      let wanted = try expected.tensor()
      let tolerance = BackendTolerance(absolute: 2e-5, relative: 2e-5, comparesTypes: precision != .double)
      let comparable =
        precision == .double && result.type == .f64
        ? Tensor(floats: result.floats(), extents: result.extents) : result
      if let difference = tolerance.difference(comparable, wanted) { found.append("\(name): \(difference)") }
    }
    return found
  }
}
