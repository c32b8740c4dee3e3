import PollardBase

/// The largest element along some axes, or of the whole tensor.
struct ReduceMax: Operator {
  let name = OperatorName("ReduceMax")
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y = max x` along the axes in the second operand.",
    shapes: "x: `[…]`; y: without those axes, or extent 1.",
    axes: "Reduced axes are pinned; the others are themselves.", zeros: "Unknown.", source: "ONNX ReduceMax-20")

  private func axes(_ given: [Int]?, rank: Int) -> Set<Int> {
    Set((given ?? Array(0..<rank)).map { $0 < 0 ? $0 + rank : $0 })
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape, context.node.input(1) == nil || context.constants(1) != nil else {
      return context.set(0, ValueType(type.element, nil))
    }
    let reduced = axes(context.constants(1), rank: shape.count)
    let keeps = context.node.integer("keepdims", default: 1) != 0
    var result: [Size] = []
    for (axis, size) in shape.enumerated() {
      if !reduced.contains(axis) { result.append(size) } else if keeps { result.append(Size(1)) }
    }
    context.set(0, ValueType(type.element, result))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0) else { return }
    let reduced = axes(context.constants(1), rank: rank)
    let keeps = context.node.integer("keepdims", default: 1) != 0
    var place = 0
    for axis in 0..<rank {
      if reduced.contains(axis) {
        context.pin(.input(0, axis), .reduced)
        if keeps { place += 1 }
      } else {
        context.unify(.input(0, axis), .output(0, place))
        place += 1
      }
    }
  }
}
