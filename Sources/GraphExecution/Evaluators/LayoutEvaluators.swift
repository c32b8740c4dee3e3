import ModelGraph
import PollardBase
import TensorStorage

// Operators that only change how elements are walked. None of them copies where a view will do.

func evaluateTranspose(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let order = context.node.integers("perm") ?? Array((0..<x.rank).reversed())
  guard order.sorted() == Array(0..<x.rank) else {
    throw context.failure(expected: "a permutation of \(x.rank) axes", found: "\(order)")
  }
  return x.transposed(order)
}

func evaluateReshape(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let wanted = try context.list(1, or: "shape")
  var target = wanted
  if context.node.integer("allowzero", default: 0) == 0 {
    for axis in target.indices where target[axis] == 0 {
      guard axis < x.rank else {
        throw context.failure(expected: "at most \(x.rank) copied extents", found: "\(wanted)")
      }
      target[axis] = x.extents[axis]
    }
  }
  let total = x.elementCount
  let open = target.indices.filter { target[$0] == -1 }
  guard open.count <= 1, target.allSatisfy({ $0 >= -1 }) else {
    throw context.failure(expected: "at most one open extent", found: "\(wanted)")
  }
  var product = 1
  for extent in target where extent != -1 {
    let (next, overflow) = product.multipliedReportingOverflow(by: max(1, extent))
    guard !overflow else { throw context.failure(expected: "\(total) elements", found: "\(wanted)") }
    product = next
  }
  if target.contains(0) { product = 0 }
  if let axis = open.first {
    // Copied extents cancel, so that an empty batch does not hide the extent that is left open.
    let copied = Set(wanted.indices.filter { wanted[$0] == 0 && target[$0] != wanted[$0] || target[$0] == 0 })
    let rest = x.extents.indices.filter { !copied.contains($0) }.reduce(1) { $0 * x.extents[$1] }
    let known = target.indices.filter { !copied.contains($0) && $0 != axis }.reduce(1) { $0 * target[$1] }
    guard known > 0, rest % known == 0 else {
      throw context.failure(expected: "\(total) elements", found: "\(wanted)")
    }
    target[axis] = rest / known
    product = total
  }
  guard product == total else { throw context.failure(expected: "\(total) elements", found: "\(wanted)") }
  try context.checkView(x.type, target)
  return x.reshaped(target, context.memory)
}

func evaluateUnsqueeze(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let wanted = try context.list(1, or: "axes")
  let rank = x.rank + wanted.count
  var places: Set<Int> = []
  for axis in wanted {
    guard places.insert(try context.axis(axis, rank: rank)).inserted else {
      throw context.failure(expected: "axes that differ", found: "\(wanted)")
    }
  }
  var extents: [Int] = []
  var strides: [Int] = []
  var next = 0
  for axis in 0..<rank {
    if places.contains(axis) {
      extents.append(1)
      strides.append(0)
    } else {
      extents.append(x.extents[next])
      strides.append(x.strides[next])
      next += 1
    }
  }
  return x.view(extents, strides: strides)
}

func evaluateSqueeze(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  var places = Set(x.extents.indices.filter { x.extents[$0] == 1 })
  if let axes = try context.optionalList(1, or: "axes") {
    places = []
    for axis in axes { places.insert(try context.axis(axis, rank: x.rank)) }
    if let wrong = places.sorted().first(where: { x.extents[$0] != 1 }) {
      throw context.failure(expected: "extent 1 at axis \(wrong)", found: "\(x.extents)")
    }
  }
  let kept = x.extents.indices.filter { !places.contains($0) }
  return x.view(kept.map { x.extents[$0] }, strides: kept.map { x.strides[$0] })
}

func evaluateExpand(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let target = try context.integers(1)
  guard target.allSatisfy({ $0 >= 0 }) else {
    throw context.failure(expected: "extents of 0 or more", found: "\(target)")
  }
  let extents = try context.broadcast([x.extents, target])
  try context.checkView(x.type, extents)
  return x.broadcast(to: extents)
}

func evaluateSplit(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: x.rank)
  let count = context.node.outputs.count
  let extent = x.extents[axis]
  var sizes: [Int]
  if let given = try context.optionalList(1, or: "split") {
    sizes = given
  } else {
    let part = extent / max(count, 1) + (extent % max(count, 1) == 0 ? 0 : 1)
    sizes = (0..<count).map { min(part, max(0, extent - $0 * part)) }
  }
  var total = 0
  for size in sizes where size >= 0 { total = total.addingReportingOverflow(size).partialValue }
  guard sizes.count == count, sizes.allSatisfy({ $0 >= 0 && $0 <= extent }), total == extent else {
    throw context.failure(expected: "\(count) parts that add up to \(extent)", found: "\(sizes)")
  }
  var start = 0
  return sizes.map { size in
    defer { start += size }
    return x.sliced(axis: axis, start: start, count: size)
  }
}

func evaluateSlice(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let starts = try context.list(1, or: "starts")
  let ends = try context.list(2, or: "ends")
  let axes = try context.optionalList(3, or: "axes") ?? Array(starts.indices)
  let steps = context.has(4) ? try context.integers(4) : starts.map { _ in 1 }
  guard starts.count == ends.count, starts.count == axes.count, starts.count == steps.count else {
    throw context.failure(
      expected: "as many starts, ends, axes and steps",
      found: "\(starts.count), \(ends.count), \(axes.count), \(steps.count)")
  }
  var result = x
  var seen: Set<Int> = []
  for (index, wanted) in axes.enumerated() {
    let axis = try context.axis(wanted, rank: x.rank)
    let step = steps[index]
    guard step != 0, step != .min, seen.insert(axis).inserted else {
      throw context.failure(expected: "steps other than 0 along different axes", found: "\(steps) along \(axes)")
    }
    let extent = x.extents[axis]
    let lowest = step > 0 ? 0 : -1
    let start = held(starts[index], extent, step > 0 ? 0...extent : 0...max(extent - 1, 0))
    let end = held(ends[index], extent, lowest...max(extent + lowest, lowest))
    let distance = step > 0 ? end - start : start - end
    let count = extent == 0 || distance <= 0 ? 0 : (distance - 1) / abs(step) + 1
    result = result.sliced(axis: axis, start: start, count: count, step: step)
  }
  return result
}

/// A bound of a slice, counted from the outermost position and held inside the axis.
private func held(_ bound: Int, _ extent: Int, _ range: ClosedRange<Int>) -> Int {
  let place = bound < 0 ? bound.addingReportingOverflow(extent).partialValue : bound
  return min(max(place, range.lowerBound), range.upperBound)
}

func evaluateShape(_ context: EvaluationContext) throws -> Tensor {
  let extents = try context.weight(0)?.shape.extents ?? context.tensor(0).extents
  let rank = extents.count
  func held(_ axis: Int) -> Int { min(max(axis < 0 ? axis.addingReportingOverflow(rank).partialValue : axis, 0), rank) }
  let start = held(context.node.integer("start", default: 0))
  let end = max(start, held(context.node.integer("end", default: rank)))
  return Tensor(integers: extents[start..<end].map(Int64.init), extents: [end - start])
}

extension EvaluatorTable {
  static let layouts: [OperatorName: Evaluator] = [
    OperatorName("Transpose"): { [try evaluateTranspose($0)] },
    OperatorName("Reshape"): { [try evaluateReshape($0)] },
    OperatorName("Unsqueeze"): { [try evaluateUnsqueeze($0)] },
    OperatorName("Squeeze"): { [try evaluateSqueeze($0)] },
    OperatorName("Expand"): { [try evaluateExpand($0)] },
    OperatorName("Split"): { try evaluateSplit($0) },
    OperatorName("Slice"): { [try evaluateSlice($0)] },
    OperatorName("Shape"): { [try evaluateShape($0)] },
    OperatorName("Flatten"): { [try evaluateFlatten($0)] },
    OperatorName("Tile"): { [try evaluateTile($0)] },
    OperatorName("Pad"): { [try evaluatePad($0)] },
    OperatorName("DepthToSpace"): { [try evaluateDepthToSpace($0)] },
    OperatorName("SpaceToDepth"): { [try evaluateSpaceToDepth($0)] },
    OperatorName("Resize"): { [try evaluateResize($0)] },
    OperatorName("Upsample"): { [try evaluateResize($0)] },
  ]
}
