import PollardBase
import TensorStorage

/// Repeats an operand along its axes.
struct Tile: Operator {
  let name = OperatorName("Tile")
  let requiredInputs = 2
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y` is x, repeated along each axis.", shapes: "x: `[d…]`; repeats: `[rank]`; y: `[repeats · d…]`.",
    axes: "An axis is the product of a new one and itself.", zeros: "Repeated with their elements.",
    source: "ONNX Tile-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape else { return context.set(0, type) }
    guard let repeats = context.elements(1), repeats.count == shape.count else {
      return context.set(0, ValueType(type.element, shape.indices.map { context.dataDependentSize(".\($0)") }))
    }
    let result = zip(shape, repeats).enumerated().map { axis, pair in
      pair.1.size.flatMap { $0.isNonNegative ? pair.0.multiplied(by: $0) : nil }
        ?? context.dataDependentSize(".\(axis)")
    }
    context.set(0, ValueType(type.element, result))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let repeats = context.elements[1], repeats.count == rank else { return }
    context.pinOrigins(of: repeats)
    for axis in 0..<rank {
      guard let size = repeats[axis].size, size.isNonNegative else { continue }
      context.unify([.output(0, axis)], [.fresh(size), .input(0, axis)])
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(), shape.count == x.shape.count else { return }
    var result = x
    for axis in shape.indices where shape[axis] != x.shape[axis] {
      guard x.shape[axis] > 0, shape[axis] % x.shape[axis] == 0, shape[axis] <= TokenState.limit else {
        return context.set(0, x.joined(shape: shape))
      }
      result = result.selecting((0..<shape[axis]).map { $0 % x.shape[axis] }, axis: axis)
    }
    context.set(0, result)
  }
}
