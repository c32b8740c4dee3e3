import PollardBase
import TensorStorage

/// A tensor given with the graph.
struct Constant: Operator {
  let name = OperatorName("Constant")
  let requiredInputs = 0
  let documentation = OperatorDocumentation(
    summary: "`y` is the tensor or the numbers of the attribute.", shapes: "y: `[…]`.",
    axes: "Every axis is pinned; readers of files make initializers of constants, which are not.",
    zeros: "The numbers.",
    source: "ONNX Constant-24")

  /// The tensor; nil for strings and sparse tensors.
  private func content(_ node: Node) -> Weight? {
    if case .tensor(let weight)? = node.attributes["value"] { return weight }
    if case .integer(let value)? = node.attributes["value_int"] { return .integers([Int64(value)], shape: []) }
    if let values = node.integers("value_ints") { return .integers(values.map(Int64.init), shape: [values.count]) }
    if let value = node.float("value_float") { return .floats([value], shape: []) }
    if let values = node.floats("value_floats") { return .floats(values, shape: [values.count]) }
    return nil
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let weight = content(context.node) else { return context.set(0, ValueType(.string, nil)) }
    context.set(0, ValueType(weight.type, weight.shape.extents.map { Size($0) }))
    guard weight.shape.rank <= 1, weight.shape.elementCount <= ShapeInference.elementLimit,
      let values = try? weight.smallIntegers()
    else { return }
    context.setElements(0, values.map { SymbolicElement(Size($0)) })
  }

  func relate(_ context: inout AxisContext) {}

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let weight = content(context.node), weight.shape.elementCount <= TokenState.limit,
      weight.type.canBeCast(to: .f32)
    else { return }
    context.set(0, try TokenState(weight))
  }
}
