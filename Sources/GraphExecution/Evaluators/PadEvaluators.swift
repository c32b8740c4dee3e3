import ModelGraph
import PollardBase
import TensorStorage

/// Positions added before and after axes, or taken away where the number is negative.
func evaluatePad(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let pads = try context.list(1, or: "pads")
  let axes = context.has(3) ? try context.integers(3) : Array(0..<x.rank)
  let mode = context.node.string("mode") ?? "constant"
  guard pads.count == 2 * axes.count else {
    throw context.failure(expected: "\(2 * axes.count) numbers of positions", found: "\(pads)")
  }
  guard ["constant", "reflect", "edge", "wrap"].contains(mode) else {
    throw context.failure(.unsupported, expected: "constant, reflect, edge or wrap", found: "\"\(mode)\"")
  }
  var added = x.extents.map { _ in (before: 0, after: 0) }
  var extents = x.extents
  for (index, wanted) in axes.enumerated() {
    let axis = try context.axis(wanted, rank: x.rank)
    added[axis] = (pads[index], pads[axes.count + index])
    extents[axis] = try padded(x.extents[axis], added[axis].before, added[axis].after, mode, context)
  }
  var fill: Tensor?
  if let value = try context.optionalTensor(2), value.elementCount == 1 {
    fill = value
  } else if let value = context.node.float("value"), value != 0 {
    fill = try converted(Tensor(floats: [value], extents: []), to: x.type, context)
  }
  guard fill.map({ $0.type == x.type }) ?? true else {
    throw context.failure(.typeMismatch, expected: "a value of \(x.type)", found: "\(fill?.type ?? x.type)")
  }
  try context.checkView(x.type, extents)
  if extents.contains(0) { return try context.memory.tensor(x.type, extents, as: x.declaredType) }
  for extent in extents { try context.checkSize([wide, extent]) }
  let positions = extents.indices.map { sources(x.extents[$0], extents[$0], added[$0], mode) }
  return try x.picking(positions, fill: fill, context.memory)
}

/// The extent of a padded axis.
private func padded(
  _ extent: Int, _ before: Int, _ after: Int, _ mode: String, _ context: EvaluationContext
) throws -> Int {
  let limit = 1 << 40
  guard before.magnitude <= limit, after.magnitude <= limit else {
    throw context.failure(.tooLarge, expected: "a countable number of positions", found: "\(before) and \(after)")
  }
  let count = extent - max(0, -after) - max(0, -before)
  let total = extent + before + after
  guard total >= 0, count >= 0 || mode == "constant" else {
    throw context.failure(expected: "at most \(extent) positions taken away", found: "\(before) and \(after)")
  }
  guard count > 0 || mode == "constant" || total == 0 else {
    throw context.failure(expected: "a position to repeat", found: "an axis of extent \(extent)")
  }
  return total
}

/// The position to take for each position of a padded axis; -1 for the constant.
private func sources(_ extent: Int, _ total: Int, _ added: (before: Int, after: Int), _ mode: String) -> [Int] {
  let first = max(0, -added.before)
  // Nothing is left where more is taken away than there is.
  let count = max(0, extent - max(0, -added.after) - first)
  return (0..<total).map { index in
    let place = index - max(added.before, 0)
    if (0..<count).contains(place) { return first + place }
    switch mode {
    case "edge": return first + min(max(place, 0), count - 1)
    case "wrap": return first + (place % count + count) % count
    case "reflect":
      let period = max(2 * (count - 1), 1)
      let turned = (place % period + period) % period
      return first + min(turned, period - turned)
    default: return -1
    }
  }
}

/// The tensor repeated along each axis.
func evaluateTile(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let repeats = try context.integers(1)
  guard repeats.count == x.rank, repeats.allSatisfy({ $0 >= 0 }) else {
    throw context.failure(expected: "\(x.rank) numbers of 0 or more", found: "\(repeats)")
  }
  var extents: [Int] = []
  var strides: [Int] = []
  var merged: [Int] = []
  for axis in 0..<x.rank {
    extents += [repeats[axis], x.extents[axis]]
    strides += [0, x.strides[axis]]
    merged.append(try context.elementCount([repeats[axis], x.extents[axis]]))
  }
  try context.checkView(x.type, merged)
  return x.view(extents, strides: strides).reshaped(merged, context.memory)
}

extension EvaluationContext {
  /// Refuses extents of which there are more than memory has bytes, before anything of their size is made; `wide` among them stands for the
  /// bytes of a number and what keeps it.
  func checkSize(_ extents: [Int]) throws {
    // Extents beside a zero are bounded as well, as those of tensors are.
    let count = try elementCount(extents.map { max($0, 1) })
    guard count <= Memory.limit else {
      throw failure(.tooLarge, expected: "at most \(Memory.limit) bytes", found: "\(extents)")
    }
  }
}

/// The axes before `axis` as rows, those from it on as columns.
func evaluateFlatten(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let wanted = context.node.integer("axis", default: 1)
  guard wanted >= -x.rank, wanted <= x.rank else {
    throw context.failure(expected: "an axis from \(-x.rank) to \(x.rank)", found: "\(wanted)")
  }
  let axis = wanted < 0 ? wanted + x.rank : wanted
  return x.reshaped([x.extents[..<axis].reduce(1, *), x.extents[axis...].reduce(1, *)], context.memory)
}

/// Channels to blocks of the plane: `[N, C, H, W]` to `[N, C / b², H · b, W · b]`.
func evaluateDepthToSpace(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let block = context.node.integer("blocksize", default: 0)
  guard x.rank == 4, block > 0, block < 1 << 20, x.extents[1] % (block * block) == 0 else {
    throw context.failure(expected: "[N, C, H, W] with channels for blocks of \(block)", found: "\(x.extents)")
  }
  let (batch, channels, rows, columns) = (x.extents[0], x.extents[1] / (block * block), x.extents[2], x.extents[3])
  let isColumnsFirst = context.node.string("mode") == "CRD"
  let split =
    isColumnsFirst
    ? x.reshaped([batch, channels, block, block, rows, columns], context.memory).transposed([0, 1, 4, 2, 5, 3])
    : x.reshaped([batch, block, block, channels, rows, columns], context.memory).transposed([0, 3, 4, 1, 5, 2])
  return split.reshaped([batch, channels, rows * block, columns * block], context.memory)
}

/// Blocks of the plane to channels: `[N, C, H, W]` to `[N, C · b², H / b, W / b]`.
func evaluateSpaceToDepth(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let block = context.node.integer("blocksize", default: 0)
  guard x.rank == 4, block > 0, block < 1 << 20, x.extents[2] % block == 0, x.extents[3] % block == 0 else {
    throw context.failure(expected: "[N, C, H, W] of whole blocks of \(block)", found: "\(x.extents)")
  }
  let (batch, channels, rows, columns) = (x.extents[0], x.extents[1], x.extents[2] / block, x.extents[3] / block)
  return x.reshaped([batch, channels, rows, block, columns, block], context.memory).transposed([0, 3, 5, 1, 2, 4])
    .reshaped([batch, channels * block * block, rows, columns], context.memory)
}
