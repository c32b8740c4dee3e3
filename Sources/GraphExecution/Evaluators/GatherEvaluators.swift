import ModelGraph
import PollardBase
import TensorStorage

extension EvaluationContext {
  /// A position of an axis, from one that may count from the end.
  func position(_ index: Int, of extent: Int, slot: Int) throws(GraphError) -> Int {
    guard index >= -extent, index < extent else {
      throw GraphError(
        .indexOutOfRange, subject: .value(name(slot)),
        expected: "indices from \(-extent) to \(extent - 1) for \(name(0))", found: "\(index)")
    }
    return index < 0 ? index + extent : index
  }
}

/// `y[i…] = x[…, indices[i…], …]`: one axis is looked up, the others are where they are.
func evaluateGatherElements(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let shape = try context.tensor(1).extents
  let offsets = try elementOffsets(of: x, indexShape: shape, context)
  return try x.picking(offsets: offsets, extents: shape, context.memory)
}

/// Where the elements lie that an index tensor of equal rank names along the node's axis.
func elementOffsets(of x: Tensor, indexShape shape: [Int], _ context: EvaluationContext) throws -> [Int] {
  let indices = try context.integers(1)
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: x.rank)
  guard shape.count == x.rank, shape.indices.allSatisfy({ $0 == axis || shape[$0] <= x.extents[$0] }) else {
    throw context.failure(expected: "indices that lie in \(x.extents) but for axis \(axis)", found: "\(shape)")
  }
  var offsets = Array(repeating: 0, count: indices.count)
  try forEachPosition(shape) { index, place in
    var offset = 0
    for other in place.indices where other != axis { offset += place[other] * x.strides[other] }
    offsets[index] = offset + (try context.position(indices[index], of: x.extents[axis], slot: 1)) * x.strides[axis]
  }
  return offsets
}

/// `y[batch…, i…, rest…] = x[batch…, indices[batch…, i…, :]…, rest…]`
func evaluateGatherND(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let shape = try context.tensor(1).extents
  let batch = context.node.integer("batch_dims", default: 0)
  guard batch >= 0, batch < shape.count, batch < x.rank, shape[..<batch] == x.extents[..<batch] else {
    throw context.failure(
      expected: "operands that begin with the same \(batch) batch axes", found: "\(x.extents) and \(shape)")
  }
  let offsets = try sliceOffsets(of: x, indexShape: shape, batch: batch, context)
  let rest = Array(x.extents[(batch + (shape.last ?? 0))...])
  let inner = Array(x.strides[(batch + (shape.last ?? 0))...])
  let result = try context.memory.tensor(x.type, shape.dropLast() + rest)
  if result.elementCount == 0 { return result }
  let size = rest.reduce(1, *)
  let dense = rowMajorStrides(rest)
  for (index, offset) in offsets.enumerated() {
    copyElements(
      of: x.view(rest, strides: inner, offset: x.offset + offset),
      to: result.view(rest, strides: dense, offset: index * size), nil)
  }
  return result
}

/// Where the slices lie that the last axis of an index tensor names, after common batch axes.
func sliceOffsets(of x: Tensor, indexShape shape: [Int], batch: Int, _ context: EvaluationContext) throws -> [Int] {
  let indices = try context.integers(1)
  guard let depth = shape.last, depth >= 0, batch + depth <= x.rank else {
    throw context.failure(expected: "at most \(x.rank - batch) indices for each slice", found: "\(shape)")
  }
  let outer = Array(shape.dropLast())
  var offsets = Array(repeating: 0, count: outer.reduce(1, *))
  try forEachPosition(outer) { index, place in
    var offset = 0
    for axis in 0..<batch { offset += place[axis] * x.strides[axis] }
    for step in 0..<depth {
      let axis = batch + step
      offset += try context.position(indices[index * depth + step], of: x.extents[axis], slot: 1) * x.strides[axis]
    }
    offsets[index] = offset
  }
  return offsets
}

/// The positions of an axis, or of the flattened tensor, at which a condition is true.
func evaluateCompress(_ context: EvaluationContext) throws -> Tensor {
  let input = try context.tensor(0)
  let condition = try context.tensor(1)
  guard condition.type == .bool, condition.rank == 1 else {
    throw context.failure(.typeMismatch, expected: "a vector of BOOL", found: "\(condition.type)\(condition.extents)")
  }
  let isFlat = context.node.attributes["axis"] == nil
  let x = isFlat ? input.reshaped([input.elementCount], context.memory) : input
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: x.rank)
  let kept = condition.truths().enumerated().filter(\.element).map(\.offset)
  if let last = kept.last, last >= x.extents[axis] {
    throw context.failure(expected: "a condition of at most \(x.extents[axis]) values", found: "\(condition.extents)")
  }
  return try x.picking(x.extents.indices.map { $0 == axis ? kept : Array(0..<x.extents[$0]) }, context.memory)
}

/// The first positions of an axis in reverse, as many as each sequence is long.
func evaluateReverseSequence(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let lengths = try context.integers(1)
  let time = try context.axis(context.node.integer("time_axis", default: 0), rank: x.rank)
  let batch = try context.axis(context.node.integer("batch_axis", default: 1), rank: x.rank)
  guard time != batch, lengths.count == x.extents[batch], lengths.allSatisfy({ (0...x.extents[time]).contains($0) })
  else {
    throw context.failure(
      expected: "\(x.extents[batch]) lengths of at most \(x.extents[time])", found: "\(lengths)")
  }
  let result = try context.memory.tensor(x.type, x.extents)
  for (sequence, length) in lengths.enumerated() {
    let from = x.sliced(axis: batch, start: sequence, count: 1)
    let to = result.sliced(axis: batch, start: sequence, count: 1)
    if length > 0 {
      copyElements(
        of: from.sliced(axis: time, start: length - 1, count: length, step: -1),
        to: to.sliced(axis: time, start: 0, count: length), nil)
    }
    let rest = x.extents[time] - length
    copyElements(
      of: from.sliced(axis: time, start: length, count: rest), to: to.sliced(axis: time, start: length, count: rest),
      nil)
  }
  return result
}
