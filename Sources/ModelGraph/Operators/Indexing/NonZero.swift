import PollardBase

/// The places of all elements that are not zero.
struct NonZero: Operator {
  let name = OperatorName("NonZero")
  let documentation = OperatorDocumentation(
    summary: "`y[:, j]` is the index of the j-th element that is not zero.", shapes: "x: `[…]`; y: `[rank, n]`.",
    axes: "Every axis is pinned.", zeros: "Unknown.", source: "ONNX NonZero-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let rank = context.shape(0).map { Size($0.count) } ?? context.dataDependentSize(".0")
    context.set(0, ValueType(.i64, [rank, context.dataDependentSize()]))
  }

  func relate(_ context: inout AxisContext) {}
}
