import PollardBase

/// Selects positions along one axis by index: `y = x[…, indices, …]`.
struct Gather: Operator {
  let name = OperatorName("Gather")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y[…, i…, …] = x[…, indices[i…], …]` along `axis`.",
    shapes: "x: `[a…, d, b…]`; indices: `[i…]`; y: `[a…, i…, b…]`.",
    axes: "With one constant index the axis is the sum [before, taken, after]; else it is pinned. The others pass.",
    zeros: "Moved with their elements where the indices are constants; else only what all positions share.",
    source: "ONNX Gather-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape, let indices = context.shape(1) else {
      return context.set(0, ValueType(type.element, nil))
    }
    let axis = try context.normalised(context.node.integer("axis", default: 0), rank: shape.count)
    context.set(0, ValueType(type.element, Array(shape[..<axis]) + indices + Array(shape[(axis + 1)...])))
    guard shape.count == 1, indices.count <= 1, let elements = context.elements(0), let chosen = context.elements(1)
    else { return }
    var result: [SymbolicElement] = []
    for index in chosen {
      guard let position = index.size?.constant else {
        return context.setUnknownElements(0, count: chosen.count, from: [0, 1])
      }
      let place = position < 0 ? position + elements.count : position
      guard elements.indices.contains(place) else { return }
      result.append(SymbolicElement(elements[place].size, origins: elements[place].origins.union(index.origins)))
    }
    context.setElements(0, result)
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let indexRank = context.rank(1), let axis = context.axis(default: 0, rank: rank)
    else { return }
    for place in 0..<rank {
      if place < axis { context.unify(.input(0, place), .output(0, place)) }
      if place > axis { context.unify(.input(0, place), .output(0, place + indexRank - 1)) }
    }
    for place in 0..<indexRank { context.unify(.input(1, place), .output(0, axis + place)) }
    guard let position = position(context, axis, indexRank) else { return context.pin(.input(0, axis), .gathered) }
    let extent = context.size(.input(0, axis))?.constant ?? 0
    context.pinOrigins(of: context.elements[1] ?? [])
    // The part that is taken has one position and so no factor; what lies before and after may shrink.
    var pieces: [AxisTerm] = []
    if position > 0 {
      let before = context.factor(Size(position))
      pieces.append(before)
      // A scalar index is not rewritten, so what lies before it stays.
      if indexRank == 0 { context.pin(term: before, .gathered) }
    }
    pieces.append(.fresh(1))
    if position + 1 < extent { pieces.append(.fresh(Size(extent - position - 1))) }
    context.unify(.input(0, axis), sumOf: pieces)
  }

  /// The place of a single constant index in an axis of known extent above 1.
  private func position(_ context: AxisContext, _ axis: Int, _ indexRank: Int) -> Int? {
    guard indexRank <= 1, let chosen = context.constants(1), chosen.count == 1,
      let extent = context.size(.input(0, axis))?.constant, extent > 1,
      let place = AxisContext.normal(chosen[0], rank: extent)
    else { return nil }
    return place
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard context.weight(0).map({ $0.shape.elementCount <= TokenState.limit }) ?? true, let x = try context.state(0),
      let shape = context.resultShape(), let axis = context.axis(default: 0, rank: x.shape.count)
    else { return }
    var target = x.shape
    // An axis without a known extent is held as one position, which stands for all.
    let extents = context.weight(0).map { $0.shape.extents.map { Size($0) } } ?? context.shape(0)
    let isKnown = extents.map { $0.indices.contains(axis) && $0[axis].constant != nil } ?? false
    guard isKnown, let chosen = context.constants(1) else {
      target[axis] = 1
      let joined = x.joining([axis], shape: target)
      let spread = shape.count - (target.count - 1)
      guard spread >= 0 else { return }
      let whole = joined.reshaped(
        Array(target[..<axis]) + Array(repeating: 1, count: spread) + Array(target[(axis + 1)...]))
      if let result = TokenState.combined([whole], shape: shape, { $0[0] }) { context.set(0, result) }
      return
    }
    let places = chosen.compactMap { ZeroContext.normal($0, rank: x.shape[axis]) }
    guard places.count == chosen.count else { return }
    context.set(0, x.selecting(places, axis: axis).reshaped(shape))
  }

  /// Moves the index to where its position is now.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let rank = context.oldInputs[0]?.count, let axis = context.axis(default: 0, rank: rank),
      let extent = context.oldInputs[0]?[axis].constant, let kept = context.keptPositions(0, axis)
    else { return }
    guard let chosen = context.constants(1), chosen.count == 1,
      let place = AdaptationContext.normal(chosen[0], rank: extent)
    else { return }
    guard let now = kept.firstIndex(of: place) else { throw context.failure("the chosen position \(place) is removed") }
    if chosen[0] == now || chosen[0] == now - kept.count { return }
    guard context.newInputs[1]?.count == 1 else { throw context.failure("a scalar index that moves to \(now)") }
    context.replaceOperand(1, with: [now])
  }
}
