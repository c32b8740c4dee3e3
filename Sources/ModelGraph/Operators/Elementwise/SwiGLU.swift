import PollardBase

/// A gated activation: the swish of a gate times a value.
struct SwiGLU: Operator {
  let name = OperatorName("SwiGLU")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y = a / (1 + e^(-alpha·a)) · b`, element by element (alpha 1).", shapes: "a, b, y: `[…]`, equal.",
    axes: "Every axis is itself.", zeros: "Zero if either operand is and the other is finite.",
    source: "Shazeer 2020, eq. 5; ONNX SwiGLU-28")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let shape = try context.broadcast([context.shape(0), context.shape(1)])
    context.set(0, ValueType(context.element(0) ?? .f32, shape))
  }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    context.pass(1)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let a = try context.state(0), let b = try context.state(1), let shape = context.resultShape() else { return }
    let result = TokenState.combined([a, b], shape: shape) { parts in
      let worst = max(parts[0].0, parts[1].0)
      if worst == .poisoned { return (.poisoned, 0) }
      return parts.contains { $0.0 == .zero } ? (.zero, 0) : (.unknown, 0)
    }
    if let result { context.set(0, result) }
  }
}
