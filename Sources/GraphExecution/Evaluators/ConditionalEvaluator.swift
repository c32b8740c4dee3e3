import ModelGraph
import PollardBase
import TensorStorage

/// The results of the branch that ran: operands are the condition, the results of one branch, then those of the other.
func evaluateIf(_ context: EvaluationContext) throws -> [Tensor] {
  let condition = try context.truth(0)
  let count = (context.operands.count - 1) / 2
  guard context.operands.count == 2 * count + 1 else {
    throw context.failure(
      .illFormed, expected: "a condition and as many results of either branch",
      found: "\(context.operands.count) operands")
  }
  return try (0..<count).map { try context.value(condition ? 1 + $0 : 1 + count + $0) }
}

extension EvaluationContext {
  /// A single truth value.
  func truth(_ slot: Int) throws -> Bool {
    let value = try tensor(slot)
    guard value.type == .bool, value.elementCount == 1 else {
      throw failure(.typeMismatch, expected: "one BOOL in operand \(slot)", found: "\(value.type)\(value.extents)")
    }
    return value.truths()[0]
  }
}

extension EvaluatorTable {
  static let conditionals: [OperatorName: Evaluator] = [
    OperatorName("If"): { try evaluateIf($0) }
  ]
}
