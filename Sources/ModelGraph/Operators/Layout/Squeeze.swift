import PollardBase

/// Removes axes of extent 1: those in the attribute (below version 13) or operand `axes`, or all of them.
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
    switch context.list("axes", slot: 1) {
    case .computed: return context.set(0, ValueType(type.element, nil))
    case .known(let axes): for axis in axes { places.insert(try context.normalised(axis, rank: shape.count)) }
    case .absent:
      // Whether an extent is 1 must be known for each axis.
      guard shape.allSatisfy({ $0.constant != nil }) else { return context.set(0, ValueType(type.element, nil)) }
      places = Set(shape.indices.filter { shape[$0] == Size(1) })
    }
    for axis in places where shape[axis].constant.map({ $0 != 1 }) ?? false {
      throw context.failure(expected: "extent 1 at axis \(axis)", found: "\(shape)")
    }
    let result = shape.indices.filter { !places.contains($0) }.map { shape[$0] }
    context.set(0, ValueType(type.element, result))
    if result.count <= 1 { context.setElements(0, context.elements(0)) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let outputRank = context.outputRank(0) else { return }
    guard case .known(let axes) = context.list("axes", slot: 1),
      let places = Self.normal(axes, rank: rank), rank - places.count == outputRank
    else {
      return context.unify((0..<rank).map { .input(0, $0) }, (0..<outputRank).map { .output(0, $0) })
    }
    let kept = (0..<rank).filter { !places.contains($0) }
    for (place, axis) in kept.enumerated() { context.unify(.input(0, axis), .output(0, place)) }
    for axis in places { context.unify([.input(0, axis)], []) }
  }

  private static func normal(_ axes: [Int], rank: Int) -> [Int]? { AxisContext.normal(axes, rank: rank) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) { try Reshape().propagate(&context) }

  /// Where the axes are left out, an axis of which one position is left would go too: the axes are written.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard case .absent = context.list("axes", slot: 1), let old = context.oldInputs[0], let new = context.newInputs[0],
      zip(old, new).contains(where: { $0 != Size(1) && $1 == Size(1) })
    else { return }
    let places = old.indices.filter { old[$0] == Size(1) }
    if context.node.version < 13 {
      context.setAttribute("axes", .integers(places))
    } else {
      context.replaceOperand(1, with: places)
    }
  }
}
