import ModelGraph
import PollardBase
import TensorStorage

func evaluateConcat(_ context: EvaluationContext) throws -> Tensor {
  var parts: [Tensor] = []
  for slot in context.operands.indices where context.has(slot) { parts.append(try context.tensor(slot)) }
  guard let first = parts.first else { throw context.failure(.illFormed, expected: "an operand", found: "none") }
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: first.rank)
  var extents = first.extents
  extents[axis] = 0
  for part in parts {
    var rest = part.extents
    if part.rank == first.rank { rest[axis] = 0 }
    guard part.type == first.type, part.rank == first.rank,
      rest.indices.allSatisfy({ $0 == axis || rest[$0] == extents[$0] })
    else {
      throw context.failure(
        expected: "operands that differ along axis \(axis) only",
        found: parts.map { "\($0.type)\($0.extents)" }.joined(separator: ", "))
    }
    let (sum, overflow) = extents[axis].addingReportingOverflow(part.extents[axis])
    guard !overflow else { throw context.failure(.tooLarge, expected: "a countable extent", found: "more") }
    extents[axis] = sum
  }
  let result = try context.memory.tensor(first.type, extents)
  var start = 0
  for part in parts {
    copyElements(of: part, to: result.sliced(axis: axis, start: start, count: part.extents[axis]), context.pool)
    start += part.extents[axis]
  }
  return result
}

func evaluateGather(_ context: EvaluationContext) throws -> Tensor {
  let indices = try context.integers(1)
  let shape = try context.tensor(1).extents
  let extents = try context.weight(0)?.shape.extents ?? context.tensor(0).extents
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: extents.count)
  let extent = extents[axis]
  if let wrong = indices.first(where: { $0 < -extent || $0 >= extent }) {
    throw GraphError(
      .indexOutOfRange, subject: .value(context.name(1)),
      expected: "indices from \(-extent) to \(extent - 1) for \(context.name(0))", found: "\(wrong)")
  }
  let places = indices.map { $0 < 0 ? $0 + extent : $0 }
  let result = Array(extents[..<axis]) + shape + Array(extents[(axis + 1)...])
  if axis == 0, let table = context.weight(0), let type = table.type.computed(in: context.memory.precision),
    table.type.canBeCast(to: type)
  {
    return try gatherRows(of: table.cast(to: type), places, result, context)
  }
  let x = try context.tensor(0)
  let y = try context.memory.tensor(x.type, result)
  if y.elementCount == 0 { return y }
  let flat = y.view(
    Array(extents[..<axis]) + [places.count] + Array(extents[(axis + 1)...]),
    strides: rowMajorStrides(Array(extents[..<axis]) + [places.count] + Array(extents[(axis + 1)...])))
  forEachStep(places.count, size: x.elementCount / extent, context.pool) { index in
    copyElements(
      of: x.sliced(axis: axis, start: places[index], count: 1), to: flat.sliced(axis: axis, start: index, count: 1), nil
    )
  }
  return y
}

/// Reads rows of a table that stays in its file.
private func gatherRows(
  of table: Weight, _ rows: [Int], _ extents: [Int], _ context: EvaluationContext
) throws -> Tensor {
  let result = try context.memory.tensor(table.type, extents)
  let width = table.shape.extents.dropFirst().reduce(1, *)
  let size = table.type.computedByteCount * width
  let failure = FirstFailure()
  nonisolated(unsafe) let base = result.buffer.base
  let parts = min(rows.count, 4 * context.pool.threadCount)
  context.pool.forEach(parts) { part in
    failure.catching {
      var scratch = EvaluationScratch()
      for index in (part * rows.count / parts)..<((part + 1) * rows.count / parts) {
        try table.read(
          elements: rows[index] * width..<(rows[index] + 1) * width,
          into: UnsafeMutableRawBufferPointer(start: base + index * size, count: size), scratch: &scratch)
      }
    }
  }
  try failure.check()
  return result
}

func evaluateWhere(_ context: EvaluationContext) throws -> Tensor {
  let condition = try context.tensor(0)
  let a = try context.tensor(1)
  let b = try context.tensor(2)
  guard condition.type == .bool, a.type == b.type else {
    throw context.failure(
      .typeMismatch, expected: "BOOL and operands of one element type",
      found: "\(condition.type), \(a.type) and \(b.type)")
  }
  let extents = try context.broadcast([condition.extents, a.extents, b.extents])
  switch a.type {
  case .f32: return try choose(condition, a, b, extents, Float.self, context)
  case .f64: return try choose(condition, a, b, extents, Double.self, context)
  case .i64: return try choose(condition, a, b, extents, Int64.self, context)
  case .i32: return try choose(condition, a, b, extents, Int32.self, context)
  default: return try choose(condition, a, b, extents, UInt8.self, context)
  }
}

private func choose<Element: TensorElement>(
  _ condition: Tensor, _ a: Tensor, _ b: Tensor, _ extents: [Int], _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  let result = try context.memory.tensor(Element.elementType, extents)
  if extents.contains(0) { return result }
  let operands = [condition, a, b].map { $0.broadcast(to: extents) }
  let nest = LoopNest(extents, operands.map(\.strides) + [result.strides])
  let (count, inner) = nest.inner
  nonisolated(unsafe) let test = condition.pointer(UInt8.self)
  nonisolated(unsafe) let first = a.pointer(type)
  nonisolated(unsafe) let second = b.pointer(type)
  nonisolated(unsafe) let target = result.written(type)
  forEachStep(nest.outerCount(above: 1), size: count, context.pool) { step in
    let t = test + nest.offset(0, at: step, above: 1)
    let x = first + nest.offset(1, at: step, above: 1)
    let y = second + nest.offset(2, at: step, above: 1)
    let z = target + nest.offset(3, at: step, above: 1)
    for index in 0..<count { z[index] = t[index * inner[0]] != 0 ? x[index * inner[1]] : y[index * inner[2]] }
  }
  return result
}
