import PollardBase

/// Removes axes of extent 1: those in the second operand, or all of them.
struct Squeeze: Operator {
  let name = OperatorName("Squeeze")
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y = x` without some axes of extent 1.", shapes: "x: `[…]`; axes: `[n]`, optional; y: rank of x − n.",
    axes: "The others are themselves.", zeros: "Kept.", source: "ONNX Squeeze-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape else { return context.set(0, type) }
    var places: Set<Int> = []
    if context.node.input(1) != nil {
      guard let axes = context.constants(1) else { return context.set(0, ValueType(type.element, nil)) }
      for axis in axes { places.insert(try context.normalised(axis, rank: shape.count)) }
    } else {
      places = Set(shape.indices.filter { shape[$0] == Size(1) })
    }
    for axis in places where shape[axis].constant.map({ $0 != 1 }) ?? false {
      throw context.failure(expected: "extent 1 at axis \(axis)", found: "\(shape)")
    }
    let result = shape.indices.filter { !places.contains($0) }.map { shape[$0] }
    context.set(0, ValueType(type.element, result))
    context.setElements(0, context.elements(0))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let outputRank = context.outputRank(0) else { return }
    context.unify((0..<rank).map { .input(0, $0) }, (0..<outputRank).map { .output(0, $0) })
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) { try Reshape().propagate(&context) }
}
