import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

func evaluateSoftmax(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: -1), rank: x.rank)
  if axis == x.rank - 1 { return try softmax(x, context) }
  var order = Array(0..<x.rank)
  order.swapAt(axis, x.rank - 1)
  return try softmax(x.transposed(order), context).transposed(order)
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
    OperatorName("Softmax"): { [try evaluateSoftmax($0)] }
  ]
}
