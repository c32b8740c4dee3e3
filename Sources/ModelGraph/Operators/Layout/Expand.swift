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
    let sizes = target.enumerated().map { axis, element in element.size ?? context.dataDependentSize(".\(axis)") }
    let shape = try context.broadcast([input, sizes])
    context.set(0, ValueType(element, shape))
    if let elements = context.elements(0), let shape, shape.count <= 1,
      let count = shape.isEmpty ? 1 : shape[0].constant,
      (0...ShapeInference.elementLimit).contains(count)
    {
      if elements.count == count { return context.setElements(0, elements) }
      if elements.count == 1 { context.setElements(0, Array(repeating: elements[0], count: count)) }
    }
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
      let result = TokenState.combined([x], shape: shape, { $0[0] })
    else { return }
    context.set(0, result)
  }

  /// Writes the shrunken extents where the operand does not follow by itself; an element of 1 stays 1.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let expected = context.newOutputs[0], let old = context.oldOutputs[0], let input = context.newInputs[0],
      let present = context.elements[1], present.count <= expected.count
    else { return }
    let offset = expected.count - present.count
    var target: [OperandElement] = []
    for (index, element) in present.enumerated() {
      let axis = index + offset
      let place = axis + input.count - expected.count
      let own = place >= 0 ? input[place] : Size(1)
      if element.size == expected[axis] || element.size == Size(1) && own == expected[axis] {
        target.append(element.size?.constant.map { .number($0) } ?? .original(index))
      } else if let known = expected[axis].constant {
        target.append(.number(known))
      } else if own == expected[axis] {
        target.append(.number(1))
      } else if element.size == nil, old[axis] == expected[axis] {
        target.append(.original(index))
      } else {
        throw context.failure("a computed extent that shrinks in \(expected)")
      }
    }
    let unchanged = target.enumerated().allSatisfy { index, element in
      switch element {
      case .number(let value): present[index].size == Size(value)
      case .original(let place): place == index
      }
    }
    if !unchanged { context.replaceOperand(1, withElements: target) }
  }
}
