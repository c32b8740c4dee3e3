import PollardBase

/// Reorders axes: axis `i` of the result is axis `perm[i]` of the operand; without `perm`, the order is reversed.
struct Transpose: Operator {
  let name = OperatorName("Transpose")
  let documentation = OperatorDocumentation(
    summary: "`y[i₀, i₁, …] = x[…]` with axes reordered.", shapes: "x: `[d₀, …]`; y: `[d_perm[0], …]`.",
    axes: "Result axis i is operand axis perm[i].", zeros: "Moved with their elements.", source: "ONNX Transpose-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape else { return context.set(0, type) }
    let order = Self.permutation(context.node, rank: shape.count)
    guard order.sorted() == Array(0..<shape.count) else {
      throw context.failure(expected: "a permutation of \(shape.count) axes", found: "\(order)")
    }
    context.set(0, ValueType(type.element, order.map { shape[$0] }))
    if shape.count <= 1 { context.setElements(0, context.elements(0)) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank == context.outputRank(0) else { return }
    for (axis, source) in Self.permutation(context.node, rank: rank).enumerated() {
      context.unify(.input(0, source), .output(0, axis))
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0) else { return }
    let order = Self.permutation(context.node, rank: x.shape.count)
    guard order.sorted() == Array(x.shape.indices) else { return }
    context.set(0, x.transposed(order))
  }

  static func permutation(_ node: Node, rank: Int) -> [Int] {
    node.integers("perm") ?? Array((0..<rank).reversed())
  }
}
