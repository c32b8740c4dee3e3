import PollardBase

/// Two values laid out so that one marks the place of an index.
struct OneHot: Operator {
  let name = OperatorName("OneHot")
  let requiredInputs = 3
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y[…, j, …] = values[1]` where j is the index, else `values[0]`; the new axis is `axis` (-1).",
    shapes: "indices: `[…]`; depth: scalar; values: `[2]`; y: `[…, depth, …]`.",
    axes: "The new axis is pinned; the others are themselves.", zeros: "Unknown.", source: "ONNX OneHot-11")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(2) ?? .f32
    guard var shape = context.shape(0) else { return context.set(0, ValueType(element, nil)) }
    let axis = try context.normalised(context.node.integer("axis", default: -1), rank: shape.count + 1)
    shape.insert(context.elements(1)?.first?.size ?? context.dataDependentSize(), at: axis)
    context.set(0, ValueType(element, shape))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let place = context.axis(default: -1, rank: rank + 1) else { return }
    context.pinOrigins(of: context.elements[1] ?? [])
    for axis in 0..<rank { context.unify(.input(0, axis), .output(0, axis < place ? axis : axis + 1)) }
    context.pin(.output(0, place), .gathered)
    for axis in 0..<(context.rank(2) ?? 0) { context.pin(.input(2, axis), .gathered) }
  }
}
