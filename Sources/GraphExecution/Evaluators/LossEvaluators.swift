import ModelGraph
import PollardBase
import TensorStorage

/// The loss of class scores `[batch, classes, …]` against class numbers `[batch, …]`, from logarithms of probabilities.
func evaluateNegativeLogLikelihood(_ context: EvaluationContext) throws -> Tensor {
  try negativeLogLikelihood(of: context.tensor(0), context)
}

/// The same from scores; the second result is the logarithms of the probabilities.
func evaluateSoftmaxCrossEntropy(_ context: EvaluationContext) throws -> [Tensor] {
  let scores = try context.tensor(0)
  guard scores.rank >= 2, scores.type.isFloatingPoint else {
    throw context.failure(
      expected: "floating-point scores [batch, classes, …]", found: "\(scores.type)\(scores.extents)")
  }
  var order = Array(0..<scores.rank)
  order.swapAt(1, scores.rank - 1)
  let wide = try converted(scores.transposed(order), to: .f64, context)
  let logarithms = try mapDoubleRows(wide, columnsFrom: scores.rank - 1, context, logarithmicSoftmax).transposed(order)
  return [
    try converted(negativeLogLikelihood(of: logarithms, context), to: scores.type, context),
    try converted(logarithms, to: scores.type, context),
  ]
}

private func negativeLogLikelihood(of logarithms: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let target = try context.tensor(1)
  guard logarithms.rank >= 2, logarithms.type.isFloatingPoint, target.type.integerElement != nil,
    target.extents == Array(logarithms.extents[..<1] + logarithms.extents[2...])
  else {
    throw context.failure(
      expected: "logarithms [batch, classes, …] and class numbers [batch, …]",
      found: "\(logarithms.type)\(logarithms.extents) and \(target.type)\(target.extents)")
  }
  let classes = logarithms.extents[1]
  let weights = try context.optionalTensor(2)?.doubles()
  guard weights?.count ?? classes == classes else {
    throw context.failure(expected: "\(classes) weights", found: "\(weights?.count ?? 0)")
  }
  var ignored: Int64?
  if case .integer(let index)? = context.node.attributes["ignore_index"] { ignored = Int64(index) }
  let values = logarithms.doubles()
  let inner = logarithms.extents[2...].reduce(1, *)
  var losses: [Double] = []
  var total = 0.0
  for (place, number) in target.integers().enumerated() {
    if number == ignored {
      losses.append(0)
      continue
    }
    guard let index = Int(exactly: number), index >= 0, index < classes else {
      throw context.failure(.indexOutOfRange, expected: "class numbers from 0 to \(classes - 1)", found: "\(number)")
    }
    let weight = weights?[index] ?? 1
    losses.append(-values[(place / inner * classes + index) * inner + place % inner] * weight)
    total += weight
  }
  let result: Tensor
  switch context.node.string("reduction") ?? "mean" {
  case "none": result = Tensor(doubles: losses, extents: target.extents)
  case "sum": result = Tensor(doubles: [losses.reduce(0, +)], extents: [])
  case "mean": result = Tensor(doubles: [losses.reduce(0, +) / total], extents: [])
  case let other: throw context.failure(.unsupported, expected: "none, sum or mean", found: other)
  }
  return try converted(result, to: logarithms.type, context)
}

extension EvaluatorTable {
  static let losses: [OperatorName: Evaluator] = [
    OperatorName("NegativeLogLikelihoodLoss"): { [try evaluateNegativeLogLikelihood($0)] },
    OperatorName("SoftmaxCrossEntropyLoss"): { try evaluateSoftmaxCrossEntropy($0) },
  ]
}
