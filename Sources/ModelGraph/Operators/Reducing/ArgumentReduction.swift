import PollardBase

/// The place of the largest or smallest element along one axis.
struct ArgumentReduction: Operator {
  let name: OperatorName
  let formula: String

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)` along `axis` (0).", shapes: "x: `[…, d, …]`; y: without the axis, or extent 1.",
      axes: "Axis `axis` is pinned; the others are themselves.", zeros: "Unknown.", source: "ONNX \(name)-13")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard var shape = context.shape(0) else { return context.set(0, ValueType(.i64, nil)) }
    let axis = try context.normalised(context.node.integer("axis", default: 0), rank: shape.count)
    if context.node.integer("keepdims", default: 1) != 0 { shape[axis] = 1 } else { shape.remove(at: axis) }
    context.set(0, ValueType(.i64, shape))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let place = context.axis(default: 0, rank: rank) else { return }
    let keeps = context.node.integer("keepdims", default: 1) != 0
    for axis in 0..<rank {
      if axis == place {
        context.pin(.input(0, axis), .reduced)
      } else {
        context.unify(.input(0, axis), .output(0, keeps || axis < place ? axis : axis - 1))
      }
    }
  }

  static let all = [
    ArgumentReduction(name: OperatorName("ArgMax"), formula: "the index of max x"),
    ArgumentReduction(name: OperatorName("ArgMin"), formula: "the index of min x"),
  ]
}
