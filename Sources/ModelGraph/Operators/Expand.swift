import PollardBase

/// Repeats axes of extent 1 until the operand has the target shape.
struct Expand: Operator {
  let name = OperatorName("Expand")
  let requiredInputs = 2
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y = x` with axes of extent 1 repeated.", shapes: "x: `[…]`; shape: `[rank]`; y: their common shape.",
    axes: "Axes that do not repeat are themselves; a repeated one is new.", zeros: "Repeated with their elements.",
    source: "ONNX Expand-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let target = context.elements(1), let input = context.shape(0) else {
      return context.set(0, ValueType(element, nil))
    }
    let sizes = target.compactMap(\.size)
    guard sizes.count == target.count else { return context.set(0, ValueType(element, nil)) }
    context.set(0, ValueType(element, try context.broadcast([input, sizes])))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let outputRank = context.outputRank(0), rank <= outputRank else { return }
    context.passBroadcasting(0)
    for axis in 0..<outputRank
    where axis + rank < outputRank || context.size(.input(0, axis + rank - outputRank)) == Size(1) {
      guard let size = context.size(.output(0, axis)) else { continue }
      context.unify([.output(0, axis)], [.fresh(size)])
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(),
      let index = BroadcastIndex(from: x.shape, to: shape)
    else { return }
    var result = TokenState(shape: shape, all: .unknown)
    for element in result.states.indices {
      result.states[element] = x.states[index[element]]
      result.constants[element] = x.constants[index[element]]
    }
    context.set(0, result)
  }

  /// Writes the shrunken extents where the operand does not follow by itself.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let expected = context.newOutputs[0], let old = context.oldOutputs[0], expected != old else { return }
    if let elements = context.elements[1], elements.map(\.size) == expected.map(Optional.init) { return }
    var target: [Int] = []
    for (axis, size) in expected.enumerated() {
      guard let known = size.constant ?? (size == old[axis] ? 1 : nil) else {
        throw context.failure("a computed extent that shrinks in \(expected)")
      }
      target.append(known)
    }
    context.replaceOperand(1, with: target)
  }
}
