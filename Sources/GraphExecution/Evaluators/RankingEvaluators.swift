import ModelGraph
import PollardBase
import TensorStorage

/// The index of the largest or smallest element along an axis; among equals the first, or the last where that is asked for. The first NaN
/// is larger and smaller than all numbers.
func evaluateArgument(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: x.rank)
  guard x.extents[axis] > 0 else {
    throw context.failure(expected: "an element along axis \(axis)", found: "\(x.extents)")
  }
  let last = context.node.integer("select_last_index", default: 0) != 0
  let largest = context.node.op.name == "ArgMax"
  let ranked = try rank(x, axis, context)
  let numbers = x.type.isFloatingPoint ? ranked.dense.doubles() : []
  var indices: [Int64] = []
  indices.reserveCapacity(ranked.rows)
  for row in 0..<ranked.rows {
    let start = row * ranked.columns
    var best = 0
    if let place = numbers.dropFirst(start).prefix(ranked.columns).firstIndex(where: \.isNaN) {
      best = place - start
    } else {
      for column in 1..<max(ranked.columns, 1) {
        let (candidate, current) = (start + column, start + best)
        let isBetter = largest ? ranked.isLess(current, candidate) : ranked.isLess(candidate, current)
        let isEqual = !ranked.isLess(current, candidate) && !ranked.isLess(candidate, current)
        if isBetter || last && isEqual { best = column }
      }
    }
    indices.append(Int64(best))
  }
  var extents = x.extents
  extents.remove(at: axis)
  if context.node.integer("keepdims", default: 1) != 0 { extents.insert(1, at: axis) }
  return Tensor(integers: indices, extents: extents)
}

/// The largest or smallest elements along an axis, and where they are; among equals the first comes first.
func evaluateTopK(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: -1), rank: x.rank)
  let count = context.has(1) ? try context.integer(1) : context.node.integer("k", default: 0)
  guard count >= 0, count <= x.extents[axis] else {
    throw context.failure(expected: "at most \(x.extents[axis]) elements", found: "\(count)")
  }
  let largest = context.node.integer("largest", default: 1) != 0
  let ranked = try rank(x, axis, context)
  var places: [Int64] = []
  for row in 0..<ranked.rows {
    let start = row * ranked.columns
    let order = (0..<ranked.columns).sorted { a, b in
      if ranked.isLess(start + a, start + b) { return !largest }
      if ranked.isLess(start + b, start + a) { return largest }
      return a < b
    }
    places.append(contentsOf: order.prefix(count).map(Int64.init))
  }
  // Rows are along the axis, which was moved to the end.
  let moved = x.extents.indices.filter { $0 != axis }.map { x.extents[$0] } + [count]
  let back = x.extents.indices.map { $0 < axis ? $0 : $0 == axis ? x.rank - 1 : $0 - 1 }
  let indices = Tensor(integers: places, extents: moved).transposed(back)
  let values = try context.memory.tensor(x.type, moved)
  for (place, column) in places.enumerated() {
    let row = place / max(count, 1)
    copyElements(
      of: ranked.dense.view([1], strides: [1], offset: ranked.dense.offset + row * ranked.columns + Int(column)),
      to: values.view([1], strides: [1], offset: place), nil)
  }
  return [values.transposed(back), indices]
}

/// Rows along an axis and the order of their elements.
private struct Ranking {
  let dense: Tensor
  let rows: Int
  let columns: Int
  let isLess: (Int, Int) -> Bool
}

private func rank(_ x: Tensor, _ axis: Int, _ context: EvaluationContext) throws -> Ranking {
  var order = Array(0..<x.rank)
  order.append(order.remove(at: axis))
  let dense = x.transposed(order).contiguous(context.memory)
  let columns = x.extents[axis]
  let rows = columns == 0 ? 0 : x.elementCount / columns
  guard x.type != .string else { throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)") }
  if x.type.isFloatingPoint {
    let values = dense.doubles()
    return Ranking(dense: dense, rows: rows, columns: columns) { values[$0] < values[$1] }
  }
  let values = dense.integers()
  if x.type == .u64 {
    return Ranking(dense: dense, rows: rows, columns: columns) {
      UInt64(bitPattern: values[$0]) < UInt64(bitPattern: values[$1])
    }
  }
  return Ranking(dense: dense, rows: rows, columns: columns) { values[$0] < values[$1] }
}
