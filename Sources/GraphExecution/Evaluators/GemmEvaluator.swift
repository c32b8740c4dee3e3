import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// `alpha · A · B + beta · C`; a constant B is packed once.
///
/// Sums run over ascending k in one accumulator; then `alpha` is multiplied, then `beta · C` added.
func evaluateGemm(_ context: EvaluationContext) throws -> Tensor {
  let stored = try matrix(0, context)
  let a = context.node.integer("transA", default: 0) != 0 ? stored.transposed([1, 0]) : stored
  let alpha = context.node.float("alpha") ?? 1
  let beta = context.node.float("beta") ?? 1
  let c = beta == 0 ? nil : try context.optionalTensor(2)
  var result: Tensor
  if context.memory.precision != .double, a.type == .f32, let weight = context.weight(1),
    ExecutionPlan.isPackedOperand(context.node, 1, weight, context.memory.precision)
  {
    let oriented = ExecutionPlan.matrix(of: weight, in: context.node)
    try checkDepth(a, oriented.shape.extents, context)
    if alpha == 1, beta == 1, let bias = c.flatMap({ rowBias($0, oriented.shape[1], context) }) {
      return try product(a, oriented, bias, .copy, context)
    }
    result = try product(a, oriented, nil, .copy, context)
  } else {
    let b = try matrix(1, context)
    let oriented = context.node.integer("transB", default: 0) != 0 ? b.transposed([1, 0]) : b
    try checkDepth(a, oriented.extents, context)
    result = try tensorProduct(a, oriented, context)
  }
  result = try scaled(result, by: alpha, context)
  guard let c else { return result }
  guard try context.broadcast([c.extents, result.extents]) == result.extents else {
    throw context.failure(expected: "a C that broadcasts to \(result.extents)", found: "\(c.extents)")
  }
  return try combine(result, scaled(c, by: beta, context), "Add", context)
}

private func matrix(_ slot: Int, _ context: EvaluationContext) throws -> Tensor {
  let found = try context.tensor(slot)
  guard found.rank == 2 else {
    throw context.failure(expected: "a matrix in operand \(slot)", found: "\(found.extents)")
  }
  return found
}

private func checkDepth(_ a: Tensor, _ b: [Int], _ context: EvaluationContext) throws {
  guard a.extents[1] == b[0] else {
    throw context.failure(
      expected: "as many columns on the left as rows on the right", found: "\(a.extents) and \(b)")
  }
}

/// A vector that is added to every row, dense, or nil when it is none.
private func rowBias(_ c: Tensor, _ columns: Int, _ context: EvaluationContext) -> Tensor? {
  guard c.type == .f32, c.extents == [columns] || c.extents == [1, columns] else { return nil }
  return c.contiguous(context.memory)
}

/// A tensor times a number; as it is when that is 1.
func scaled(_ x: Tensor, by factor: Float, _ context: EvaluationContext) throws -> Tensor {
  if factor == 1 { return x }
  switch x.type {
  case .f32: return try x.map(context.memory) { (value: Float) in value * factor }
  case .f64: return try x.map(context.memory) { (value: Double) in value * Double(factor) }
  case .i32: return try x.map(context.memory) { (value: Int32) in held(Double(value) * Double(factor), Int32.self) }
  case .i64: return try x.map(context.memory) { (value: Int64) in held(Double(value) * Double(factor), Int64.self) }
  default: throw context.failure(.typeMismatch, expected: "numbers to scale", found: "\(x.type)")
  }
}
