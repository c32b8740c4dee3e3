import PollardBase

/// The extents of its operand as numbers, from axis `start` to axis `end`.
struct ShapeOf: Operator {
  let name = OperatorName("Shape")
  let documentation = OperatorDocumentation(
    summary: "`y = [extents of x]`, from `start` to `end`.", shapes: "x: `[…]`; y: `[number of axes]`.",
    axes: "Nothing is stated: every axis of x passes through other uses; numbers carry their origin.",
    zeros: "Unknown.",
    source: "ONNX Shape-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let id = context.node.input(0), let shape = context.shape(0) else {
      return context.set(0, ValueType(.i64, [context.dataDependentSize()]))
    }
    let rank = shape.count
    func clamp(_ axis: Int) -> Int { min(max(axis < 0 ? max(axis, -rank) + rank : axis, 0), rank) }
    let start = clamp(context.node.integer("start", default: 0))
    let end = max(start, clamp(context.node.integer("end", default: rank)))
    context.set(0, ValueType(.i64, [Size(end - start)]))
    context.setElements(0, (start..<end).map { SymbolicElement(shape[$0], origins: [AxisReference(id, $0)]) })
  }

  /// Reading an extent constrains nothing by itself: where the number leaves shape arithmetic, its origin is pinned.
  func relate(_ context: inout AxisContext) { context.ignore(0) }

  /// The numbers are finite, whatever the operand's elements are.
  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let shape = context.resultShape() { context.set(0, TokenState(shape: shape, all: .unknown)) }
  }
}
