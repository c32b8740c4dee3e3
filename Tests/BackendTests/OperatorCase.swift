import CheckpointFormats
import GraphExecution
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

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

  /// What differs in each result from what a program gave, or nil when it gave nothing.
  ///
  /// - Parameters:
  ///   - precision: in `rounded` element types are compared too, and numbers as near as their type allows.
  ///   - source: `expected` for ONNX Runtime, `reference` for the evaluator of the onnx package.
  func differences(
    on threads: ThreadPool, precision: ComputingPrecision = .declared, source: String = "expected"
  ) throws -> [String]? {
    let model = try ImportedONNXModel(path: path)
    let file = model.file
    let outputs = file.graph.outputs.enumerated().compactMap { index, output in
      let name = output.name?.description ?? ""
      return initializer("\(source).\(name)", of: file.graph).map { (index: index, name: name, tensor: $0) }
    }
    if outputs.isEmpty { return nil }
    var inputs: [String: Tensor] = [:]
    for input in file.graph.inputs {
      let name = input.name?.description ?? ""
      if let given = initializer("given.\(name)", of: file.graph) { inputs[name] = try given.tensor() }
    }
    let executor = try GraphExecutor(model.graph, threads: threads, precision: precision)
    let results = try executor.run(inputs: inputs)
    var found: [String] = []
    for (index, name, expected) in outputs {
      guard let result = results[executor.graph[executor.graph.outputs[index]].name] else {
        found.append("\(name): none")
        continue
      }
      let wanted = try expected.tensor()
      let comparable =
        precision == .double && result.type == .f64
        ? Tensor(floats: result.floats(), extents: result.extents) : result
      let tolerance = tolerance(wanted.declaredType, precision)
      if let difference = tolerance.difference(comparable, wanted) { found.append("\(name): \(difference)") }
    }
    return found
  }

  private func initializer(_ name: String, of graph: ONNXGraph) -> ONNXTensor? {
    graph.initializers.first { $0.name?.description == name }
  }

  /// Two units in the last place of a half float, whose rounding may differ; otherwise the single precision of both sides.
  private func tolerance(_ type: ElementType, _ precision: ComputingPrecision) -> BackendTolerance {
    switch type {
    case .f16: BackendTolerance(absolute: 2e-3, relative: 2e-3)
    case .bf16: BackendTolerance(absolute: 2e-2, relative: 1.6e-2)
    default: BackendTolerance(absolute: 2e-5, relative: 2e-5, comparesTypes: precision != .double)
    }
  }
}
