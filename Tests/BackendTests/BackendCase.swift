import CheckpointFormats
import GraphExecution
import ModelArchitectures
import ModelGraph
import PollardBase

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One test of the ONNX backend suite: a model, and data sets of inputs and the outputs that onnx's own evaluator gives.
struct BackendCase {
  let name: String
  let folder: String

  /// What becomes of a test.
  enum Outcome {
    case passed
    /// The test needs what the program does not evaluate.
    case notApplicable(String)
    case failed(String)
  }

  /// All tests of a folder with a folder for each, in the order of their names.
  static func all(in data: String) -> [BackendCase] {
    let root = data.hasSuffix("/node") ? data : data + "/node"
    return entries(of: root).filter { $0.hasPrefix("test_") }.map { BackendCase(name: $0, folder: "\(root)/\($0)") }
  }

  static func entries(of folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.filter { !$0.hasPrefix(".") }.sorted()
  }

  /// The operators of the model.
  func operators() throws -> [OperatorName] {
    try ONNXFile(path: folder + "/model.onnx").graph.nodes.map {
      let domain = $0.domain.map(\.description) ?? ""
      return OperatorName($0.operatorType?.description ?? "", domain: domain == "ai.onnx" ? "" : domain)
    }
  }

  /// Imports the model, runs every data set and compares; element types count where results are rounded to them.
  func run(on threads: ThreadPool, precision: ComputingPrecision = .rounded) -> Outcome {
    do {
      let model = try ImportedONNXModel(path: folder + "/model.onnx")
      if let stranger = Self.unknownOperator(of: model.graph) { return .notApplicable("the operator \(stranger)") }
      let executor = try GraphExecutor(model.graph, threads: threads, precision: precision)
      for set in Self.entries(of: folder).filter({ $0.hasPrefix("test_data_set_") }) {
        if let difference = try compare(executor, model.file.graph, "\(folder)/\(set)", precision) {
          return .failed(difference)
        }
      }
      return .passed
    } catch let reason as NotApplicable {
      return .notApplicable(reason.reason)
    } catch let error as FormatError where error.code == .unsupportedValueType {
      return .notApplicable("values that are no tensors")
    } catch {
      return .failed("\(error)")
    }
  }

  /// An operator of a graph, or of a body in it, that cannot be evaluated.
  private static func unknownOperator(of graph: Graph) -> OperatorName? {
    for node in graph.nodes {
      if !EvaluatorTable.knows(node.op) { return node.op }
      for body in node.bodies { if let found = unknownOperator(of: body.graph) { return found } }
    }
    return nil
  }

  private func compare(_ executor: GraphExecutor, _ file: ONNXGraph, _ data: String, _ precision: ComputingPrecision)
    throws -> String?
  {
    let initializers = Set(file.initializers.compactMap(\.name))
    let declared = file.inputs.filter { !initializers.contains($0.name ?? "") }
    var inputs: [String: Tensor] = [:]
    for (index, input) in declared.enumerated() {
      inputs[input.name?.description ?? ""] = try read("\(data)/input_\(index).pb", input.type)
    }
    let results = try executor.run(inputs: inputs)
    for (index, output) in file.outputs.enumerated() {
      let expected = try read("\(data)/output_\(index).pb", output.type)
      let id = executor.graph.outputs[index]
      guard let found = results[executor.graph[id].name] else { return "output \(index): none" }
      if let difference = BackendTolerance(comparesTypes: precision == .rounded).difference(found, expected) {
        return "output \(index): \(difference)"
      }
    }
    return nil
  }

  private func read(_ path: String, _ type: ONNXType?) throws -> Tensor {
    let bytes = ONNXBytes(try FileSource(path: path))
    if type?.optional != nil {
      let message: ONNXOptional = try ONNXDecoder.decode(from: bytes)
      if let tensor = message.tensor { return try tensor.tensor() }
      return try message.sequence.map { try $0.value() } ?? .absent
    }
    if type?.sequence != nil {
      let message: ONNXSequence = try ONNXDecoder.decode(from: bytes)
      return try message.value()
    }
    let message: ONNXTensor = try ONNXDecoder.decode(from: bytes)
    return try message.tensor()
  }
}
