import PollardBase
import TensorStorage

/// Random numbers of the shape of an operand; nothing may shrink, because which number comes where is part of the result.
struct RandomOperator: Operator {
  let name: OperatorName

  let documentation = OperatorDocumentation(
    summary: "`y` is drawn at random.", shapes: "x, y: `[…]`, equal.", axes: "Every axis is pinned.", zeros: "Unknown.",
    source: "ONNX RandomNormalLike-22", family: "Random numbers")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let given = Cast.types[context.node.integer("dtype", default: 0)]
    context.set(0, ValueType(given ?? context.element(0) ?? .f32, context.shape(0)))
  }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    for axis in 0..<(context.rank(0) ?? 0) { context.pin(.input(0, axis), .undescribed) }
  }

  static let all = ["RandomNormalLike", "RandomUniformLike", "Bernoulli"].map { RandomOperator(name: OperatorName($0)) }
}
