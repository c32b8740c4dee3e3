import PollardBase

/// The number of elements of its operand.
struct SizeOf: Operator {
  let name = OperatorName("Size")
  let documentation = OperatorDocumentation(
    summary: "`y = Π extents of x`.", shapes: "x: `[…]`; y: scalar.",
    axes: "Nothing is stated: the number carries its origin.", zeros: "Unknown.", source: "ONNX Size-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    context.set(0, ValueType(.i64, []))
    guard let id = context.node.input(0), let shape = context.shape(0) else { return }
    context.setElements(
      0, [SymbolicElement(Size.product(shape), origins: Set(shape.indices.map { AxisReference(id, $0) }))])
  }

  func relate(_ context: inout AxisContext) { context.ignore(0) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let shape = context.resultShape() { context.set(0, TokenState(shape: shape, all: .unknown)) }
  }
}
