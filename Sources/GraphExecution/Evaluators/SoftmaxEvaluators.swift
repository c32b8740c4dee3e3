import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Softmax, its logarithm, or 1 for the first largest element; before version 13 over all axes from one on, taken as one.
func evaluateSoftmax(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let flattens = context.node.version < 13
  let axis = try context.axis(context.node.integer("axis", default: flattens ? 1 : -1), rank: max(x.rank, 1))
  if x.rank == 0 { return try overRows(x.reshaped([1]), context).reshaped([]) }
  if flattens {
    let rows = x.extents[..<axis].reduce(1, *)
    let columns = x.extents[axis...].reduce(1, *)
    return try overRows(x.reshaped([rows, columns], context.memory), context).reshaped(x.extents, context.memory)
  }
  if axis == x.rank - 1 { return try overRows(x, context) }
  var order = Array(0..<x.rank)
  order.swapAt(axis, x.rank - 1)
  return try overRows(x.transposed(order), context).transposed(order)
}

private func overRows(_ x: Tensor, _ context: EvaluationContext) throws -> Tensor {
  switch context.node.op.name {
  case "LogSoftmax":
    return try mapInDouble(x, context, logarithmicSoftmax)
  case "Hardmax":
    return try mapInDouble(x, context) { row in
      let first = row.firstIndex(of: row.max() ?? 0)
      return row.indices.map { $0 == first ? 1 : 0 }
    }
  default: return try softmax(x, context)
  }
}

/// `x - max - ln Σ e^(x - max)`
func logarithmicSoftmax(_ row: [Double]) -> [Double] {
  let largest = row.max() ?? 0
  let total = logarithm(row.reduce(0) { $0 + exponential($1 - largest) })
  return row.map { $0 - largest - total }
}

/// Applies a function to the last axis, in double precision whatever the type.
private func mapInDouble(
  _ x: Tensor, _ context: EvaluationContext, _ body: @Sendable ([Double]) -> [Double]
) throws -> Tensor {
  guard x.type.isFloatingPoint else { throw context.failure(.typeMismatch, expected: "F32", found: "\(x.type)") }
  let wide = try converted(x, to: .f64, context)
  return try converted(mapDoubleRows(wide, columnsFrom: x.rank - 1, context, body), to: x.type, context)
}

private func softmax(_ x: Tensor, _ context: EvaluationContext) throws -> Tensor {
  if x.type == .f64 {
    return try mapDoubleRows(x, columnsFrom: x.rank - 1, context) { row in
      let largest = row.max() ?? 0
      let powers = row.map { exponential($0 - largest) }
      let sum = powers.reduce(0, +)
      return powers.map { $0 / sum }
    }
  }
  return try mapRows(x, columnsFrom: x.rank - 1, context) { Kernels.softmax($0, into: $1, pool: context.pool) }
}

extension EvaluatorTable {
  static let softmaxes: [OperatorName: Evaluator] = [
    OperatorName("Softmax"): { [try evaluateSoftmax($0)] },
    OperatorName("LogSoftmax"): { [try evaluateSoftmax($0)] },
    OperatorName("Hardmax"): { [try evaluateSoftmax($0)] },
  ]
}
