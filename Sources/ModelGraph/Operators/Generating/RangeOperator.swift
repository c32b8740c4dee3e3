import PollardBase

/// Numbers from a start up to a limit in equal steps.
struct RangeOperator: Operator {
  let name = OperatorName("Range")
  let requiredInputs = 3
  let documentation = OperatorDocumentation(
    summary: "`y = start, start + delta, …` below `limit`.", shapes: "start, limit, delta: scalars; y: `[n]`.",
    axes: "The result's axis is new and pinned.", zeros: "Unknown.", source: "ONNX Range-11")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .i64
    guard let start = context.elements(0)?.first?.size, let limit = context.elements(1)?.first?.size,
      let delta = context.elements(2)?.first?.size, let difference = limit.subtracting(start)
    else { return context.set(0, ValueType(element, [context.dataDependentSize()])) }
    if let step = delta.constant, step != 0, let distance = difference.constant {
      // The number of steps, rounded up.
      let (quotient, remainder) = distance.quotientAndRemainder(dividingBy: step == -1 ? 1 : step)
      let count =
        step == -1
        ? (distance == .min ? 0 : -distance) : quotient + (remainder != 0 && (remainder > 0) == (step > 0) ? 1 : 0)
      context.set(0, ValueType(element, [Size(max(0, count))]))
      guard (0...ShapeInference.elementLimit).contains(count), let first = start.constant,
        element == .i64 || element == .i32
      else { return }
      let origins = (0..<3).reduce(into: Set<AxisReference>()) { result, slot in
        result.formUnion((context.elements(slot) ?? []).flatMap(\.origins))
      }
      let numbers = (0..<count).compactMap { index in
        Size(step).multiplied(by: Size(index))?.adding(Size(first))
      }
      if numbers.count == count { context.setElements(0, numbers.map { SymbolicElement($0, origins: origins) }) }
      return
    }
    let isCount = delta == Size(1) && difference.isNonNegative
    context.set(0, ValueType(element, [isCount ? difference : context.freshSize(start, limit, delta)]))
  }

  /// The numbers are values: the extents they come from, and so the length, stay.
  func relate(_ context: inout AxisContext) {
    for slot in 0..<3 { context.pinOrigins(of: context.elements[slot] ?? []) }
  }
}
