import PollardBase

/// Cuts an operand along one axis into consecutive parts, of given sizes or equal ones. Sizes are an attribute below version 13.
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
    if let given = context.node.integers("split") {
      guard given.count == count else { throw context.failure(expected: "\(count) sizes", found: "\(given.count)") }
      return given.map { Size($0) }
    }
    guard count > 0 else { return [] }
    if let part = whole.dividedExactly(by: Size(count)) { return Array(repeating: part, count: count) }
    guard let extent = whole.constant, extent >= 0 else { return nil }
    let part = extent / count + (extent % count == 0 ? 0 : 1)
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
    for size in sizes {
      if let known = size.constant, known < 0 {
        throw context.failure(expected: "sizes of 0 or more", found: "\(known)")
      }
      total = total?.adding(size)
    }
    if total == nil, sizes.allSatisfy({ $0.constant != nil }) {
      throw context.failure(expected: "parts that add up to \(shape[axis])", found: "\(sizes)")
    }
    if let total, total != shape[axis], total.constant != nil, shape[axis].constant != nil {
      throw context.failure(expected: "parts that add up to \(shape[axis])", found: "\(sizes)")
    }
    var start = 0
    for (slot, size) in zip(slots, sizes) {
      var part = shape
      part[axis] = size
      context.set(slot, ValueType(type.element, part))
      guard shape.count == 1, let elements = context.elements(0), let count = size.constant, count >= 0,
        count <= elements.count - start
      else { continue }
      context.setElements(slot, Array(elements[start..<start + count]))
      start += count
    }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let axis = context.axis(default: 0, rank: rank) else { return }
    // A result that nobody wants has no axes; what it takes is a factor of its own where its size is known.
    var pieces: [AxisTerm] = []
    let places = (0..<rank).filter { $0 != axis }
    let given = context.constants(1) ?? context.node.integers("split")
    for (slot, output) in context.node.outputs.enumerated() {
      if output != nil {
        pieces.append(.output(slot, axis))
        for place in places { context.unify(.input(0, place), .output(slot, place)) }
      } else if let given, given.indices.contains(slot) {
        pieces.append(.fresh(Size(given[slot])))
      } else {
        return
      }
    }
    context.unify(.input(0, axis), sumOf: pieces)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let axis = context.axis(default: 0, rank: x.shape.count) else { return }
    var start = 0
    var isKnown = context.shape(0).map { $0.indices.contains(axis) && $0[axis].constant != nil } ?? false
    for slot in context.node.outputs.indices {
      guard let shape = context.resultShape(slot), shape.count == x.shape.count else { return }
      guard isKnown, context.shape(of: slot)?[axis].constant != nil, shape[axis] <= TokenState.limit else {
        // Which positions are taken is not known, or they are too many: only what all share is certain.
        var joined = x.shape
        joined[axis] = shape[axis]
        context.set(slot, x.joining([axis], shape: joined))
        isKnown = false
        continue
      }
      guard shape[axis] <= x.shape[axis] - start else { return }
      context.set(slot, x.selecting(Array(start..<start + shape[axis]), axis: axis))
      start += shape[axis]
    }
  }

  /// Writes the sizes of the parts that shrank.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let shape = context.newInputs[0], let axis = context.axis(default: 0, rank: shape.count) else { return }
    var sizes: [Int] = []
    for output in context.newOutputs {
      guard let output, output.indices.contains(axis), let size = output[axis].constant else { return }
      sizes.append(size)
    }
    if let given = context.node.integers("split") {
      if given != sizes { context.setAttribute("split", .integers(sizes)) }
      return
    }
    if context.node.input(1) == nil, Set(sizes).count == 1 { return }
    if let elements = context.elements[1], elements.map(\.size) == sizes.map({ Size($0) }) { return }
    if context.node.version < 13 { return context.setAttribute("split", .integers(sizes)) }
    context.removeAttribute("num_outputs")
    context.replaceOperand(1, with: sizes)
  }
}
