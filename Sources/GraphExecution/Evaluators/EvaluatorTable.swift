import ModelGraph

/// Computes the results of one node from its operands.
typealias Evaluator = @Sendable (EvaluationContext) throws -> [Tensor]

/// Which function computes which operator.
package enum EvaluatorTable {
  /// The evaluators by the name of the operator; each file of evaluators has a part of its own.
  static let all: [OperatorName: Evaluator] = {
    var table: [OperatorName: Evaluator] = [:]
    for part in [
      elementwise, generators, reductions, softmaxes, selections, layouts, products, normalizations, rotations,
      attentions, fused, conditionals, quantizations, convolutions, channelNormalizations, losses, repetitions,
      sequences, optionals, windows, grids, recurrences, flexibleAttentions, recurrentNetworks, regions, spectra, texts,
      optimizers, features, quantizedFunctions,
    ] {
      table.merge(part) { first, _ in first }
    }
    return table
  }()

  /// The functions of one or two operands, element by element, and what selects or converts elements.
  static let elementwise: [OperatorName: Evaluator] = {
    var table: [OperatorName: Evaluator] = [
      OperatorName("Where"): { [try evaluateWhere($0)] },
      OperatorName("Cast"): { [try evaluateCast($0)] },
      OperatorName("CastLike"): { [try evaluateCastLike($0)] },
      OperatorName("BitCast"): { [try evaluateBitCast($0)] },
      OperatorName("Clip"): { [try evaluateClip($0)] },
      OperatorName("Identity"): { [try $0.value(0)] },
    ]
    for name in unaryNames { table[OperatorName(name)] = { [try evaluateUnary($0)] } }
    for name in binaryNames { table[OperatorName(name)] = { [try evaluateBinary($0)] } }
    for name in variadicNames { table[OperatorName(name)] = { [try evaluateVariadic($0)] } }
    return table
  }()

  /// The evaluator of an operator, or nil when it cannot be evaluated.
  static func find(_ name: OperatorName) -> Evaluator? { all[name] }

  /// Whether an operator can be evaluated.
  package static func knows(_ name: OperatorName) -> Bool { find(name) != nil }
}
