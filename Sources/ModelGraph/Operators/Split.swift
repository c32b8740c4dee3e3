import PollardBase

/// Cuts an operand along one axis into consecutive parts, of given sizes or equal ones.
struct Split: Operator {
  let name = OperatorName("Split")
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`yᵢ` are consecutive parts of x along `axis`.",
    shapes: "x: `[…, Σ dᵢ, …]`; split: `[n]`; yᵢ: `[…, dᵢ, …]`.",
    axes: "The cut axis is the sum of the parts; the others are themselves.", zeros: "Moved with their elements.",
    source: "ONNX Split-18")

  private func sizes(_ context: InferenceContext, whole: Size) throws(GraphError) -> [Size]? {
    let count = context.node.outputs.count
    if context.node.input(1) != nil {
      guard let elements = context.elements(1) else { return nil }
      guard elements.count == count else {
        throw context.failure(expected: "\(count) sizes", found: "\(elements.count)")
      }
      let sizes = elements.compactMap(\.size)
      return sizes.count == count ? sizes : nil
    }
    if let part = whole.dividedExactly(by: Size(count)) { return Array(repeating: part, count: count) }
    guard let extent = whole.constant else { return nil }
    let part = (extent + count - 1) / count
    return (0..<count).map { Size(min(part, max(0, extent - $0 * part))) }
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    let slots = context.node.outputs.indices
    guard let shape = type.shape else {
      for slot in slots { context.set(slot, ValueType(type.element, nil)) }
      return
    }
    let axis = try context.normalised(context.node.integer("axis", default: 0), rank: shape.count)
    guard let sizes = try sizes(context, whole: shape[axis]) else {
      for slot in slots { context.set(slot, ValueType(type.element, nil)) }
      return
    }
    var total: Size? = Size(0)
    for size in sizes { total = total?.adding(size) }
    if let total, total != shape[axis], total.constant != nil, shape[axis].constant != nil {
      throw context.failure(expected: "parts that add up to \(shape[axis])", found: "\(sizes)")
    }
    for (slot, size) in zip(slots, sizes) {
      var part = shape
      part[axis] = size
      context.set(slot, ValueType(type.element, part))
    }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0) else { return }
    let wanted = context.node.integer("axis", default: 0)
    let axis = wanted < 0 ? wanted + rank : wanted
    let slots = context.node.outputs.indices
    for place in 0..<rank where place != axis {
      for slot in slots { context.unify(.input(0, place), .output(slot, place)) }
    }
    context.unify(.input(0, axis), sumOf: slots.map { .output($0, axis) })
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0) else { return }
    let wanted = context.node.integer("axis", default: 0)
    let axis = wanted < 0 ? wanted + x.shape.count : wanted
    guard x.shape.indices.contains(axis) else { return }
    let row = x.shape[axis...].reduce(1, *)
    let inner = x.shape[(axis + 1)...].reduce(1, *)
    var start = 0
    for slot in context.node.outputs.indices {
      guard let shape = context.resultShape(slot), shape.count == x.shape.count else { return }
      let length = shape[axis] * inner
      guard start + length <= row else { return }
      var states: [ElementState] = []
      var constants: [Float] = []
      for outer in 0..<x.shape[..<axis].reduce(1, *) {
        let range = outer * row + start..<outer * row + start + length
        states += x.states[range]
        constants += x.constants[range]
      }
      context.set(slot, TokenState(shape: shape, states: states, constants: constants))
      start += length
    }
  }

  /// Writes the sizes of the parts that shrank.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let shape = context.newInputs[0] else { return }
    let wanted = context.node.integer("axis", default: 0)
    let axis = wanted < 0 ? wanted + shape.count : wanted
    var sizes: [Int] = []
    for output in context.newOutputs {
      guard let size = output?[axis].constant else { return }
      sizes.append(size)
    }
    if context.node.input(1) == nil, Set(sizes).count == 1 { return }
    if let elements = context.elements[1], elements.map(\.size) == sizes.map({ Size($0) }) { return }
    context.removeAttribute("num_outputs")
    context.replaceOperand(1, with: sizes)
  }
}
