import ModelGraph

/// Computes the results of one node from its operands.
typealias Evaluator = @Sendable (EvaluationContext) throws -> [Tensor]

/// Which function computes which operator.
package enum EvaluatorTable {
  /// The evaluators by the name of the operator.
  static let all: [String: Evaluator] = {
    var table: [String: Evaluator] = [
      "Where": { [try evaluateWhere($0)] },
      "Cast": { [try evaluateCast($0)] },
      "Identity": { [try $0.tensor(0)] },
      "Transpose": { [try evaluateTranspose($0)] },
      "Reshape": { [try evaluateReshape($0)] },
      "Unsqueeze": { [try evaluateUnsqueeze($0)] },
      "Squeeze": { [try evaluateSqueeze($0)] },
      "Expand": { [try evaluateExpand($0)] },
      "Concat": { [try evaluateConcat($0)] },
      "Split": { try evaluateSplit($0) },
      "Slice": { [try evaluateSlice($0)] },
      "Gather": { [try evaluateGather($0)] },
      "Range": { [try evaluateRange($0)] },
      "Shape": { [try evaluateShape($0)] },
      "CumSum": { [try evaluateCumSum($0)] },
      "ReduceMax": { [try evaluateReduceMax($0)] },
      "MatMul": { [try multiply($0, bias: nil, activation: .copy)] },
      "Softmax": { [try evaluateSoftmax($0)] },
      "LayerNormalization": { [try evaluateLayerNormalization($0)] },
      "RMSNormalization": { [try evaluateRMSNormalization($0)] },
      "RotaryEmbedding": { [try evaluateRotaryEmbedding($0)] },
      "Attention": { [try evaluateAttention($0)] },
    ]
    for name in unaryNames { table[name] = { [try evaluateUnary($0)] } }
    for name in binaryNames { table[name] = { [try evaluateBinary($0)] } }
    return table
  }()

  /// The evaluator of an operator, or nil when it cannot be evaluated.
  static func find(_ name: OperatorName) -> Evaluator? { name.domain.isEmpty ? all[name.name] : nil }

  /// Whether an operator can be evaluated.
  package static func knows(_ name: OperatorName) -> Bool { find(name) != nil }
}
