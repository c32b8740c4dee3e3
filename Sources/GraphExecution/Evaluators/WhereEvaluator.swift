import ModelGraph
import PollardBase
import TensorStorage

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
