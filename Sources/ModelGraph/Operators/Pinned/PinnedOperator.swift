import PollardBase
import TensorStorage

/// An operator that can be evaluated and whose results' types are known, but of whose axes nothing is said: all of them are pinned, and no
/// element of a result is known to be zero.
struct PinnedOperator: Operator {
  /// Where the element type of a result comes from.
  enum Element: Sendable {
    /// From an operand.
    case operand(Int)
    /// Always the same.
    case fixed(ElementType)
    /// From an attribute with ONNX's number of a type.
    case attribute(String, ElementType)
  }

  let name: OperatorName
  let requiredInputs: Int
  let documentation: OperatorDocumentation
  private let results: [Element]
  private let shape: (@Sendable (InferenceContext, Int) -> [Size]?)?

  /// - Parameters:
  ///   - results: the element types of the results; the last one stands for all that follow.
  ///   - shape: the shape of a result by its slot, where it follows from the operands'.
  init(
    _ name: String, domain: String = "", since version: Int, requires count: Int = 1, results: [Element],
    family: String = "", summary: String, shapes: String, source: String? = nil,
    shape: (@Sendable (InferenceContext, Int) -> [Size]?)? = nil
  ) {
    self.name = OperatorName(name, domain: domain)
    self.results = results
    self.shape = shape
    requiredInputs = count
    let set = ["": "ONNX \(name)", "ai.onnx.ml": "ONNX ML \(name)"][domain] ?? "ONNX training \(name)"
    documentation = OperatorDocumentation(
      summary: summary, shapes: shapes, axes: "Every axis is pinned.", zeros: "Unknown.",
      source: source ?? (domain == "com.microsoft" ? "ONNX Runtime, \(domain).\(name)-1" : "\(set)-\(version)"),
      family: family)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    for slot in context.node.outputs.indices where !results.isEmpty {
      let element: ElementType? =
        switch results[min(slot, results.count - 1)] {
        case .operand(let operand): context.element(operand)
        case .fixed(let type): type
        case .attribute(let name, let type): Cast.types[context.node.integer(name, default: 0)] ?? type
        }
      if let element { context.set(slot, ValueType(element, shape?(context, slot))) }
    }
  }

  func relate(_ context: inout AxisContext) {}
}
