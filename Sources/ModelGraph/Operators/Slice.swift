import PollardBase

/// Takes a range of positions along some axes: operands data, starts, ends, axes, steps.
struct Slice: Operator {
  let name = OperatorName("Slice")
  let requiredInputs = 3
  let shapeOperands: Set<Int> = [1, 2, 3, 4]
  let documentation = OperatorDocumentation(
    summary: "`y = x[starts:ends:steps]` along the given axes.",
    shapes: "x: `[…]`; starts, ends, axes, steps: `[n]`; y: rank of x.",
    axes: "With constant bounds and step 1 the axis is the sum [before, taken, after]; else it is pinned.",
    zeros: "Moved with their elements where bounds are constant.", source: "ONNX Slice-13")

  private struct Bound {
    var axis: Int
    var start: Int
    var end: Int
    var step: Int
  }

  private func bounds(
    _ rank: Int, starts: [Int]?, ends: [Int]?, axes: [Int]?, steps: [Int]?
  ) -> [Bound]? {
    guard let starts, let ends, starts.count == ends.count else { return nil }
    let axes = axes ?? Array(starts.indices)
    let steps = steps ?? Array(repeating: 1, count: starts.count)
    guard axes.count == starts.count, steps.count == starts.count else { return nil }
    return starts.indices.map {
      Bound(axis: axes[$0] < 0 ? axes[$0] + rank : axes[$0], start: starts[$0], end: ends[$0], step: steps[$0])
    }
  }

  /// The range a bound takes from a known extent, for a step of 1.
  private func range(_ bound: Bound, extent: Int) -> Range<Int> {
    let start = min(max(bound.start < 0 ? bound.start + extent : bound.start, 0), extent)
    let end = min(max(bound.end < 0 ? bound.end.addingReportingOverflow(extent).partialValue : bound.end, 0), extent)
    return start..<max(start, end)
  }

  /// The number of positions that a bound takes from a known extent in steps other than 1.
  private func stepCount(
    _ start: Int, _ end: Int, _ step: Int, extent: Int, _ context: InferenceContext
  ) throws(GraphError) -> Int {
    guard step != 0, step != .min else { throw context.failure(expected: "steps other than 0", found: "\(step)") }
    func held(_ bound: Int, _ lowest: Int, _ highest: Int) -> Int {
      min(max(bound < 0 ? bound.addingReportingOverflow(extent).partialValue : bound, lowest), max(highest, lowest))
    }
    let distance =
      step > 0
      ? held(end, 0, extent) - held(start, 0, extent) : held(start, 0, extent - 1) - held(end, -1, extent - 1)
    return extent == 0 || distance <= 0 ? 0 : (distance - 1) / abs(step) + 1
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard var shape = type.shape else { return context.set(0, type) }
    let axes = context.node.input(3) == nil ? nil : context.constants(3)
    let steps = context.node.input(4) == nil ? nil : context.constants(4)
    guard let starts = context.elements(1), let ends = context.elements(2),
      context.node.input(3) == nil || axes != nil, context.node.input(4) == nil || steps != nil
    else { return context.set(0, ValueType(type.element, nil)) }
    let places = axes ?? Array(starts.indices)
    guard places.count == starts.count, ends.count == starts.count else {
      throw context.failure(
        expected: "as many starts, ends and axes", found: "\(starts.count), \(ends.count), \(places.count)")
    }
    for (index, place) in places.enumerated() {
      let axis = try context.normalised(place, rank: shape.count)
      let step = steps.map { $0[index] } ?? 1
      let extent = shape[axis]
      if step == 1, let start = starts[index].size?.constant, let end = ends[index].size?.constant,
        let known = extent.constant
      {
        shape[axis] = Size(range(Bound(axis: axis, start: start, end: end, step: 1), extent: known).count)
      } else if step != 1, let start = starts[index].size?.constant, let end = ends[index].size?.constant,
        let known = extent.constant
      {
        shape[axis] = Size(try stepCount(start, end, step, extent: known, context))
      } else if step == 1, starts[index].size == Size(0), let end = ends[index].size,
        end.constant == nil || end == extent
      {
        shape[axis] = end
      } else if step == 1, starts[index].size == Size(0), let end = ends[index].size?.constant, end > 1 << 31 {
        continue
      } else {
        shape[axis] = .symbol(
          "Slice(\(extent), \(starts[index].size?.description ?? context.node.name), \(ends[index].size?.description ?? context.node.name), \(step))"
        )
      }
    }
    context.set(0, ValueType(type.element, shape))
    if shape.count == 1, let elements = context.elements(0), let start = starts.first?.size?.constant,
      let end = ends.first?.size?.constant, steps.map({ $0[0] == 1 }) ?? true
    {
      let taken = range(Bound(axis: 0, start: start, end: end, step: 1), extent: elements.count)
      context.setElements(0, Array(elements[taken]))
    }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0) else { return }
    let axes = context.node.input(3) == nil ? nil : context.constants(3)
    let steps = context.node.input(4) == nil ? nil : context.constants(4)
    guard context.node.input(3) == nil || axes != nil, context.node.input(4) == nil || steps != nil else { return }
    let found = bounds(rank, starts: context.constants(1), ends: context.constants(2), axes: axes, steps: steps)
    let touched = Set((axes ?? Array(0..<(context.constants(1)?.count ?? rank))).map { $0 < 0 ? $0 + rank : $0 })
    for axis in 0..<rank where !touched.contains(axis) { context.unify(.input(0, axis), .output(0, axis)) }
    for bound in found ?? [] where bound.step == 1 {
      guard let extent = context.size(.input(0, bound.axis))?.constant else { continue }
      let taken = range(bound, extent: extent)
      var pieces: [AxisTerm] = [.output(0, bound.axis)]
      if taken.lowerBound > 0 { pieces.insert(.fresh(Size(taken.lowerBound)), at: 0) }
      if taken.upperBound < extent { pieces.append(.fresh(Size(extent - taken.upperBound))) }
      context.unify(.input(0, bound.axis), sumOf: pieces)
    }
  }

  /// Moves the bounds to the kept positions.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let old = context.oldInputs[0], let new = context.newInputs[0], old != new else { return }
    func numbers(_ slot: Int) -> [Int]? {
      guard context.node.input(slot) != nil else { return nil }
      let sizes = context.elements[slot]?.compactMap { $0.size?.constant }
      return sizes?.count == context.elements[slot]?.count ? sizes : nil
    }
    guard let found = bounds(old.count, starts: numbers(1), ends: numbers(2), axes: numbers(3), steps: numbers(4))
    else { return }
    var starts: [Int] = []
    var ends: [Int] = []
    for bound in found {
      if let kept = context.keptPositions(0, bound.axis), let extent = old[bound.axis].constant {
        let taken = range(bound, extent: extent)
        starts.append(kept.count { $0 < taken.lowerBound })
        ends.append(kept.count { $0 < taken.upperBound })
      } else {
        starts.append(bound.start)
        ends.append(bound.end)
      }
    }
    context.replaceOperand(1, with: starts)
    context.replaceOperand(2, with: ends)
  }
}
