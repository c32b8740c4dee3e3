import ModelGraph
import PollardBase
import TensorStorage

func evaluateWhere(_ context: EvaluationContext) throws -> Tensor {
  let condition = try context.tensor(0)
  let a = try context.tensor(1)
  let b = try context.tensor(2)
  return try choose(condition, a, b, context)
}

/// Elements of the first operand where the condition holds, else of the second; all three broadcast.
func choose(_ condition: Tensor, _ a: Tensor, _ b: Tensor, _ context: EvaluationContext) throws -> Tensor {
  guard condition.type == .bool, a.type == b.type else {
    throw context.failure(
      .typeMismatch, expected: "BOOL and operands of one element type",
      found: "\(condition.type), \(a.type) and \(b.type)")
  }
  let extents = try context.broadcast([condition.extents, a.extents, b.extents])
  switch a.type.computedByteCount {
  case 1: return try choose(condition, a, b, extents, UInt8.self, context)
  case 2: return try choose(condition, a, b, extents, UInt16.self, context)
  case 4: return try choose(condition, a, b, extents, UInt32.self, context)
  default: return try choose(condition, a, b, extents, UInt64.self, context)
  }
}

private func choose<Bits: FixedWidthInteger & BitwiseCopyable & Sendable>(
  _ condition: Tensor, _ a: Tensor, _ b: Tensor, _ extents: [Int], _ type: Bits.Type, _ context: EvaluationContext
) throws -> Tensor {
  let result = try context.memory.tensor(a.type, extents)
  if extents.contains(0) { return result }
  let operands = [condition, a, b].map { $0.broadcast(to: extents) }
  let nest = LoopNest(extents, operands.map(\.strides) + [result.strides])
  let (count, inner) = nest.inner
  nonisolated(unsafe) let test = condition.pointer(UInt8.self)
  nonisolated(unsafe) let first = a.bits(type)
  nonisolated(unsafe) let second = b.bits(type)
  nonisolated(unsafe) let target = result.writtenBits(type)
  forEachStep(nest.outerCount(above: 1), size: count, context.pool) { step in
    let t = test + nest.offset(0, at: step, above: 1)
    let x = first + nest.offset(1, at: step, above: 1)
    let y = second + nest.offset(2, at: step, above: 1)
    let z = target + nest.offset(3, at: step, above: 1)
    for index in 0..<count { z[index] = t[index * inner[0]] != 0 ? x[index * inner[1]] : y[index * inner[2]] }
  }
  return result
}
