import PollardBase

/// Selects positions along one axis by index: `y = x[…, indices, …]`.
struct Gather: Operator {
  let name = OperatorName("Gather")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y[…, i…, …] = x[…, indices[i…], …]` along `axis`.",
    shapes: "x: `[a…, d, b…]`; indices: `[i…]`; y: `[a…, i…, b…]`.",
    axes: "The gathered axis is pinned; the others pass.", zeros: "Unknown.", source: "ONNX Gather-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape, let indices = context.shape(1) else {
      return context.set(0, ValueType(type.element, nil))
    }
    let axis = try context.normalised(context.node.integer("axis", default: 0), rank: shape.count)
    context.set(0, ValueType(type.element, Array(shape[..<axis]) + indices + Array(shape[(axis + 1)...])))
    if shape.count == 1, indices.count <= 1, let elements = context.elements(0), let positions = context.constants(1) {
      let normal = positions.map { $0 < 0 ? $0 + elements.count : $0 }
      if normal.allSatisfy(elements.indices.contains) { context.setElements(0, normal.map { elements[$0] }) }
    }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let indexRank = context.rank(1) else { return }
    let wanted = context.node.integer("axis", default: 0)
    let axis = wanted < 0 ? wanted + rank : wanted
    for place in 0..<rank {
      if place < axis { context.unify(.input(0, place), .output(0, place)) }
      if place > axis { context.unify(.input(0, place), .output(0, place + indexRank - 1)) }
    }
    for place in 0..<indexRank { context.unify(.input(1, place), .output(0, axis + place)) }
    context.pin(.input(0, axis), .gathered)
  }
}
