import ModelGraph

extension EvaluatorTable {
  /// Operators of the domain `com.microsoft`.
  static let fused: [OperatorName: Evaluator] = [:]
}
