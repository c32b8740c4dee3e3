import PollardBase

/// The largest or smallest elements along an axis, and where they were.
struct TopK: Operator {
  let name = OperatorName("TopK")
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "The k largest (or smallest) elements along `axis`, and their indices.",
    shapes: "x: `[…, d, …]`; k: `[1]` (an attribute below version 10); values, indices: `[…, k, …]`.",
    axes: "Axis `axis` is pinned; the others are themselves.", zeros: "Unknown.", source: "ONNX TopK-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard var shape = type.shape else {
      context.set(0, type)
      return context.set(1, ValueType(.i64, nil))
    }
    let axis = try context.normalised(context.node.integer("axis", default: -1), rank: shape.count)
    let attribute = context.node.attributes["k"] == nil ? nil : Size(context.node.integer("k", default: 0))
    shape[axis] = context.elements(1)?.first?.size ?? attribute ?? context.dataDependentSize()
    context.set(0, ValueType(type.element, shape))
    context.set(1, ValueType(.i64, shape))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let place = context.axis(default: -1, rank: rank) else { return }
    context.pinOrigins(of: context.elements[1] ?? [])
    for axis in 0..<rank {
      for slot in context.node.outputs.indices where context.node.outputs[slot] != nil {
        if axis == place {
          context.pin(.output(slot, axis), .reduced)
        } else {
          context.unify(.input(0, axis), .output(slot, axis))
        }
      }
    }
    context.pin(.input(0, place), .reduced)
  }
}
