import PollardBase

/// Takes a range of positions along some axes: operands data, starts, ends, axes, steps (attributes below version 10).
struct Slice: Operator {
  let name = OperatorName("Slice")
  let shapeOperands: Set<Int> = [1, 2, 3, 4]
  let documentation = OperatorDocumentation(
    summary: "`y = x[starts:ends:steps]` along the given axes.",
    shapes: "x: `[…]`; starts, ends, axes, steps: `[n]`; y: rank of x.",
    axes:
      "With constant bounds and step 1 the axis is the sum [before, taken, after]; a whole axis passes; else it is pinned.",
    zeros: "Moved with their elements where bounds are constant.", source: "ONNX Slice-13")

  /// What is taken along one axis; nil for a bound that is not known.
  private struct Bound {
    var index: Int
    var axis: Int
    var start: SymbolicElement
    var end: SymbolicElement
    var step: Int?
  }

  /// The bounds; nil when the axes are not known or do not fit.
  private func bounds<Context: NodeContext>(
    _ context: Context, rank: Int, elements: (Int) -> [SymbolicElement]?
  ) -> [Bound]? {
    func given(_ slot: Int, _ attribute: String) -> [SymbolicElement]? {
      elements(slot) ?? context.node.integers(attribute)?.map { SymbolicElement(Size($0)) }
    }
    let starts = given(1, "starts")
    let ends = given(2, "ends")
    var axes: [Int]?
    switch context.list("axes", slot: 3) {
    case .computed: return nil
    case .known(let found): axes = found
    case .absent: axes = nil
    }
    guard let count = axes?.count ?? starts?.count ?? ends?.count else { return nil }
    guard let places = Context.normal(axes ?? Array(0..<count), rank: rank) else { return nil }
    let steps = context.node.input(4) == nil ? Array(repeating: 1, count: count) : context.constants(4)
    guard starts.map({ $0.count == count }) ?? true, ends.map({ $0.count == count }) ?? true,
      steps.map({ $0.count == count }) ?? true
    else { return nil }
    return places.enumerated().map { index, axis in
      Bound(
        index: index, axis: axis, start: starts?[index] ?? SymbolicElement(nil),
        end: ends?[index] ?? SymbolicElement(nil), step: steps?[index])
    }
  }

  /// Positions at equal distances.
  private struct Positions {
    var first: Int
    var step: Int
    var count: Int

    /// Positions from `start` up to, but not including, `end`, or down to it; both lie within an axis.
    init(from start: Int, to end: Int, by step: Int) {
      first = start
      self.step = step
      count = 0
      if step > 0, end > start { count = (end - start - 1) / step + 1 }
      if step < 0, end < start { count = (start - end - 1) / -step + 1 }
    }

    /// Every position; there are `count`.
    var all: [Int] { (0..<count).map { first + $0 * step } }
  }

  /// The positions that known bounds take from a known extent, ascending or descending; nil when something is not known.
  private func positions(_ bound: Bound, extent: Size) -> Positions? {
    guard let start = bound.start.size?.constant, let end = bound.end.size?.constant, let step = bound.step,
      let extent = extent.constant, step != 0, step != .min, extent >= 0
    else { return nil }
    func held(_ value: Int, _ lowest: Int, _ highest: Int) -> Int {
      let place = value < 0 ? value.addingReportingOverflow(extent).partialValue : value
      return min(max(place, lowest), highest)
    }
    // A negative sum that overflowed is far below every position.
    if step > 0 {
      return Positions(from: held(start, 0, extent), to: held(end, 0, extent), by: min(step, max(extent, 1)))
    }
    return Positions(from: held(start, -1, extent - 1), to: held(end, -1, extent - 1), by: max(step, -max(extent, 1)))
  }

  /// Whether a bound takes everything, whatever the extent is.
  private func isWhole(_ bound: Bound, extent: Size) -> Bool {
    guard bound.step == 1, bound.start.size == Size(0), let end = bound.end.size else { return false }
    return end == extent || end.constant.map { $0 >= Int(Int32.max) } ?? false
  }

  /// The extent that remains.
  private func extent(_ bound: Bound, of extent: Size, _ context: InferenceContext) -> Size {
    if isWhole(bound, extent: extent) { return extent }
    if let taken = positions(bound, extent: extent) { return Size(taken.count) }
    if bound.step == 1, let start = bound.start.size, let end = bound.end.size {
      let from = fromFront(start, extent)
      let to = fromFront(end, extent)
      // Within the axis for certain, or as far as the file's author knew: an end beyond it is held back when the model runs.
      if let from, let to, let length = to.subtracting(from), length.isNonNegative {
        if let rest = extent.subtracting(to), rest.isNonNegative { return length }
        if from == Size(0), extent.constant == nil || end.constant == nil { return length }
      }
    }
    return context.freshSize(extent, bound.start.size, bound.end.size, bound.step.map { Size($0) })
  }

  /// A bound counted from the front; nil when it is not known which way it counts.
  private func fromFront(_ bound: Size, _ extent: Size) -> Size? {
    if bound.isNonNegative {
      // An end past the largest axis means the end of the axis.
      return bound.constant.map { $0 >= Int(Int32.max) } ?? false ? extent : bound
    }
    return bound.upperBound.map { $0 < 0 } ?? false ? extent.adding(bound) : nil
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard var shape = type.shape else { return context.set(0, type) }
    if context.constants(4)?.contains(0) ?? false { throw context.failure(expected: "steps other than 0", found: "0") }
    guard let bounds = bounds(context, rank: shape.count, elements: { context.elements($0) }) else {
      if let starts = context.constants(1), let ends = context.constants(2), starts.count != ends.count {
        throw context.failure(expected: "as many starts as ends", found: "\(starts.count) and \(ends.count)")
      }
      // The rank stays; every extent may have changed.
      return context.set(
        0, ValueType(type.element, shape.indices.map { context.dataDependentSize(".\($0)") }))
    }
    for bound in bounds { shape[bound.axis] = extent(bound, of: shape[bound.axis], context) }
    context.set(0, ValueType(type.element, shape))
    guard shape.count == 1, let elements = context.elements(0) else { return }
    guard let bound = bounds.first else { return context.setElements(0, elements) }
    guard let taken = positions(bound, extent: Size(elements.count)) else { return }
    let origins = bound.start.origins.union(bound.end.origins)
    context.setElements(
      0, taken.all.map { SymbolicElement(elements[$0].size, origins: elements[$0].origins.union(origins)) })
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let bounds = bounds(context, rank: rank, elements: { context.elements[$0] })
    else {
      return
    }
    let touched = Set(bounds.map(\.axis))
    for axis in 0..<rank where !touched.contains(axis) { context.unify(.input(0, axis), .output(0, axis)) }
    for bound in bounds {
      guard let size = context.size(.input(0, bound.axis)) else { continue }
      if isWhole(bound, extent: size) {
        context.unify(.input(0, bound.axis), .output(0, bound.axis))
        continue
      }
      guard bound.step == 1, let extent = size.constant, let taken = positions(bound, extent: size) else { continue }
      // Computed bounds hold only while the extents they come from do.
      context.pinOrigins(of: [bound.start, bound.end])
      guard taken.count > 0 else { continue }
      let first = taken.first
      let last = first + taken.count - 1
      var pieces: [AxisTerm] = [.output(0, bound.axis)]
      if first > 0 { pieces.insert(.fresh(Size(first)), at: 0) }
      if last + 1 < extent { pieces.append(.fresh(Size(extent - last - 1))) }
      context.unify(.input(0, bound.axis), sumOf: pieces)
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(), let sizes = context.shape(0),
      shape.count == x.shape.count
    else { return }
    var result = x
    let found = bounds(context, rank: shape.count) { slot in context.constants(slot)?.map { SymbolicElement(Size($0)) }
    }
    for axis in shape.indices {
      let bound = found?.first { $0.axis == axis }
      if found != nil, bound == nil { continue }
      if let bound, isWhole(bound, extent: sizes[axis]) { continue }
      if let bound, let taken = positions(bound, extent: sizes[axis]), taken.count <= TokenState.limit {
        result = result.selecting(taken.all, axis: axis)
      } else {
        // Which positions are taken is not known: only what all share is certain.
        var joined = result.shape
        joined[axis] = shape[axis]
        result = result.joining([axis], shape: joined)
      }
    }
    context.set(0, result)
  }

  /// Moves the bounds to the kept positions.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    let elements = context.elements
    guard let old = context.oldInputs[0], let new = context.newInputs[0], let expected = context.newOutputs[0],
      let bounds = bounds(context, rank: old.count, elements: { elements[$0] })
    else { return }
    var starts: [OperandElement] = []
    var ends: [OperandElement] = []
    var isChanged = false
    for bound in bounds {
      let start = bound.start.size?.constant.map { OperandElement.number($0) } ?? .original(bound.index)
      let end = bound.end.size?.constant.map { OperandElement.number($0) } ?? .original(bound.index)
      if let kept = context.keptPositions(0, bound.axis), let taken = positions(bound, extent: old[bound.axis]),
        bound.step == 1, !isWhole(bound, extent: old[bound.axis])
      {
        guard taken.count > 0 else { return }
        let first = taken.first
        let last = first + taken.count - 1
        let before = kept.count { $0 < first }
        let through = kept.count { $0 <= last }
        starts.append(.number(before))
        ends.append(.number(through))
        isChanged = true
      } else {
        starts.append(start)
        ends.append(end)
      }
    }
    guard isChanged, expected.count == new.count else { return }
    if context.node.input(1) == nil {
      let numbers = [starts, ends].map { list in
        list.compactMap { if case .number(let value) = $0 { value } else { nil } }
      }
      context.setAttribute("starts", .integers(numbers[0]))
      context.setAttribute("ends", .integers(numbers[1]))
    } else {
      context.replaceOperand(1, withElements: starts)
      context.replaceOperand(2, withElements: ends)
    }
  }
}
