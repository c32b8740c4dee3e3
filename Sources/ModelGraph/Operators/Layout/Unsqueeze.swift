import PollardBase

/// Inserts axes of extent 1 at the places in the attribute (below version 13) or operand `axes`, counted in the result.
struct Unsqueeze: Operator {
  let name = OperatorName("Unsqueeze")
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y = x` with axes of extent 1 inserted.", shapes: "x: `[…]`; axes: `[n]`; y: rank of x + n.",
    axes: "The others are themselves.", zeros: "Kept.", source: "ONNX Unsqueeze-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape, case .known(let axes) = context.list("axes", slot: 1) else {
      return context.set(0, ValueType(type.element, nil))
    }
    let rank = shape.count + axes.count
    var places: Set<Int> = []
    for axis in axes { places.insert(try context.normalised(axis, rank: rank)) }
    guard places.count == axes.count else {
      throw context.failure(expected: "axes that differ", found: "\(axes)")
    }
    var rest = shape[...]
    var result: [Size] = []
    for axis in 0..<rank {
      if places.contains(axis) {
        result.append(Size(1))
      } else if let next = rest.popFirst() {
        result.append(next)
      }
    }
    context.set(0, ValueType(type.element, result))
    if result.count <= 1 { context.setElements(0, context.elements(0)) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let outputRank = context.outputRank(0) else { return }
    context.unify((0..<rank).map { .input(0, $0) }, (0..<outputRank).map { .output(0, $0) })
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) { try Reshape().propagate(&context) }
}
