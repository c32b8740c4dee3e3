import PollardBase

/// Passes its operand on.
struct Identity: Operator {
  let name = OperatorName("Identity")
  let documentation = OperatorDocumentation(
    summary: "`y = x`.", shapes: "x, y: `[…]`, equal.", axes: "Every axis is itself.", zeros: "Kept.",
    source: "ONNX Identity-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
    context.setElements(0, context.elements(0))
  }

  func relate(_ context: inout AxisContext) {
    for axis in 0..<(context.rank(0) ?? 0) { context.unify(.input(0, axis), .output(0, axis)) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let x = try context.state(0) { context.set(0, x) }
  }
}
