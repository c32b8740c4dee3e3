import PollardBase

/// Selects elements one by one along an axis: the index of each comes from a tensor of the result's shape.
struct GatherElements: Operator {
  let name = OperatorName("GatherElements")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y[…, i, …] = x[…, indices[…, i, …], …]` along `axis`.",
    shapes: "x: `[…]`; indices, y: `[…]`, equal.", axes: "Every axis is pinned.",
    zeros: "Only what all elements of x share.", source: "ONNX GatherElements-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    context.set(0, ValueType(context.element(0) ?? .f32, context.shape(1)))
  }

  func relate(_ context: inout AxisContext) {
    for axis in 0..<(context.rank(0) ?? 0) { context.pin(.input(0, axis), .gathered) }
    for axis in 0..<(context.rank(1) ?? 0) {
      context.unify(.input(1, axis), .output(0, axis))
      context.pin(.input(1, axis), .gathered)
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let x = try context.state(0), let shape = context.resultShape() { context.set(0, x.joined(shape: shape)) }
  }
}
