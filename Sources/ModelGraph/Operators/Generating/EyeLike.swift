import PollardBase
import TensorStorage

/// A matrix of zeros with ones on a diagonal, of the shape of its operand.
struct EyeLike: Operator {
  let name = OperatorName("EyeLike")
  let documentation = OperatorDocumentation(
    summary: "`y[i, j] = 1` where j - i = k (0), else 0.", shapes: "x, y: `[M, N]`, equal.",
    axes: "Every axis is pinned.", zeros: "Unknown.", source: "ONNX EyeLike-22")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let given = Cast.types[context.node.integer("dtype", default: 0)]
    context.set(0, ValueType(given ?? context.element(0) ?? .f32, context.shape(0)))
  }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    for axis in 0..<(context.rank(0) ?? 0) { context.pin(.input(0, axis), .undescribed) }
  }
}
