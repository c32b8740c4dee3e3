import PollardBase

/// Passes its operand on. `Dropout` does the same when a model is not trained.
struct Identity: Operator {
  let name: OperatorName
  let version: Int
  /// The operand whose elements are passed on is the first; others are small numbers without influence on it.
  let ignored: Int

  init(_ name: String = "Identity", since version: Int = 24, ignoring ignored: Int = 0) {
    self.name = OperatorName(name)
    self.version = version
    self.ignored = ignored
  }

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: ignored > 0 ? "`y = x`; the mask is true everywhere." : "`y = x`.",
      shapes: "x, y: `[…]`, equal.", axes: "Every axis is itself.", zeros: "Kept.", source: "ONNX \(name)-\(version)")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) {
      context.set(0, type)
      context.set(1, ValueType(context.node.version < 10 ? type.element : .bool, type.shape))
    }
    context.setElements(0, context.elements(0))
  }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    if context.node.outputs.count > 1, context.node.outputs[1] != nil { context.pass(0, to: 1) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let x = try context.state(0) { context.set(0, x) }
  }
}
