import ModelGraph
import PollardBase
import TensorStorage

func evaluateConcat(_ context: EvaluationContext) throws -> Tensor {
  var parts: [Tensor] = []
  for slot in context.operands.indices where context.has(slot) { parts.append(try context.tensor(slot)) }
  guard let first = parts.first else { throw context.failure(.illFormed, expected: "an operand", found: "none") }
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: first.rank)
  return try concatenated(parts, axis: axis, context)
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

extension EvaluatorTable {
  static let selections: [OperatorName: Evaluator] = [
    OperatorName("Concat"): { [try evaluateConcat($0)] },
    OperatorName("Gather"): { [try evaluateGather($0)] },
    OperatorName("GatherElements"): { [try evaluateGatherElements($0)] },
    OperatorName("GatherND"): { [try evaluateGatherND($0)] },
    OperatorName("Scatter"): { [try evaluateScatterElements($0)] },
    OperatorName("ScatterElements"): { [try evaluateScatterElements($0)] },
    OperatorName("ScatterND"): { [try evaluateScatterND($0)] },
    OperatorName("TensorScatter"): { [try evaluateTensorScatter($0)] },
    OperatorName("Compress"): { [try evaluateCompress($0)] },
    OperatorName("ReverseSequence"): { [try evaluateReverseSequence($0)] },
  ]
}
