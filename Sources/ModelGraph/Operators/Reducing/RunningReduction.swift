import PollardBase

/// Running sums or products along one axis.
struct RunningReduction: Operator {
  let name: OperatorName
  let formula: String
  let version: Int
  let requiredInputs = 2
  let shapeOperands: Set<Int> = [1]

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`\(formula)` along the axis in the second operand.", shapes: "x, y: `[…]`, equal; axis: scalar.",
      axes: "Every axis is itself; the one that is run along is pinned.", zeros: "Unknown.",
      source: "ONNX \(name)-\(version)")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0) else { return }
    let wanted = context.constants(1)?.first
    context.pass(0)
    for axis in 0..<rank where wanted == nil || wanted == axis || wanted == axis - rank {
      context.pin(.input(0, axis), .reduced)
    }
  }

  static let all = [
    RunningReduction(name: OperatorName("CumSum"), formula: "y[i] = x[0] + … + x[i]", version: 14),
    RunningReduction(name: OperatorName("CumProd"), formula: "y[i] = x[0] · … · x[i]", version: 26),
  ]
}
