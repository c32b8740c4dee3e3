import PollardBase

/// Numbers from a start up to a limit in equal steps.
struct RangeOperator: Operator {
  let name = OperatorName("Range")
  let requiredInputs = 3
  let documentation = OperatorDocumentation(
    summary: "`y = start, start + delta, …` below `limit`.", shapes: "start, limit, delta: scalars; y: `[n]`.",
    axes: "The result's axis is new and pinned.", zeros: "Unknown.", source: "ONNX Range-11")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    var extent = Size.symbol("Range(\(context.node.name))")
    if let start = context.elements(0)?.first?.size, let limit = context.elements(1)?.first?.size,
      context.elements(2)?.first?.size == Size(1), let difference = limit.subtracting(start)
    {
      extent = difference
    }
    context.set(0, ValueType(context.element(0) ?? .i64, [extent]))
  }

  func relate(_ context: inout AxisContext) {}
}
