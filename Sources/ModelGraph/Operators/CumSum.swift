import PollardBase

/// Running sums along one axis.
struct CumSum: Operator {
  let name = OperatorName("CumSum")
  let requiredInputs = 2
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y[i] = x[0] + … + x[i]` along the axis in the second operand.",
    shapes: "x, y: `[…]`, equal; axis: scalar.",
    axes: "Every axis is itself; the summed one is pinned.", zeros: "Unknown.", source: "ONNX CumSum-14")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0) else { return }
    let wanted = context.constants(1)?.first
    for axis in 0..<rank {
      context.unify(.input(0, axis), .output(0, axis))
      if wanted == nil || wanted == axis || wanted == axis - rank { context.pin(.input(0, axis), .reduced) }
    }
  }
}
