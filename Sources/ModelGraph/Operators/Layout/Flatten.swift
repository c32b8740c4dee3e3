import PollardBase

/// Joins the axes before a place into one and those from it on into another.
struct Flatten: Operator {
  let name = OperatorName("Flatten")
  let documentation = OperatorDocumentation(
    summary: "`y = x` as a matrix, elements in row-major order.",
    shapes: "x: `[d₀, …]`; y: `[Π d before axis, Π d from axis on]` (axis 1).",
    axes: "Each result axis is the product of its operand axes.", zeros: "Kept.", source: "ONNX Flatten-25")

  private func place<Context: NodeContext>(_ context: Context, rank: Int) -> Int? {
    let axis = context.node.integer("axis", default: 1)
    guard axis >= -rank, axis <= rank else { return nil }
    return axis < 0 ? axis + rank : axis
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape else {
      return context.set(
        0, ValueType(type.element, [context.dataDependentSize(".0"), context.dataDependentSize(".1")]))
    }
    guard let place = place(context, rank: shape.count) else {
      throw context.failure(expected: "a place in a tensor of rank \(shape.count)", found: "\(context.node.attributes)")
    }
    guard let rows = Size.product(shape[..<place]), let columns = Size.product(shape[place...]) else {
      return context.set(0, ValueType(type.element, nil))
    }
    context.set(0, ValueType(type.element, [rows, columns]))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let place = place(context, rank: rank), context.outputRank(0) == 2 else { return }
    context.unify((0..<place).map { .input(0, $0) }, [.output(0, 0)])
    context.unify((place..<rank).map { .input(0, $0) }, [.output(0, 1)])
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) { try Reshape().propagate(&context) }
}
