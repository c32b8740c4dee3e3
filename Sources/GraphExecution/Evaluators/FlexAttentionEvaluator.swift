import ModelGraph
import PollardBase
import TensorStorage

/// Attention whose scores and weights pass through graphs of the model: `prob_mod(softmax(score_mod(q · kᵀ · scale))) · v`.
///
/// Both factors are scaled by the root of the scale. Scores and weights are in the type that `softmax_precision` names, at least F32.
/// - q: `[B, heads, L, E]`; k: `[B, groups, S, E]`; v: `[B, groups, S, V]`; scores: `[B, heads, L, S]`; result: `[B, heads, L, V]`.
/// - Source: ONNX FlexAttention-1 of ai.onnx.preview.
func evaluateFlexAttention(_ context: EvaluationContext) throws -> Tensor {
  let (q, k, v) = (try context.tensor(0), try context.tensor(1), try context.tensor(2))
  guard q.rank == 4, k.rank == 4, v.rank == 4, q.type == k.type, q.type == v.type, q.type.isFloatingPoint,
    k.extents[0] == q.extents[0], v.extents[..<3] == k.extents[..<3], k.extents[3] == q.extents[3],
    k.extents[1] > 0, q.extents[1] % k.extents[1] == 0
  else {
    throw context.failure(
      expected: "Q, K and V of one type, batch and head size, in equal groups of heads",
      found: "\(q.type)\(q.extents), \(k.type)\(k.extents) and \(v.type)\(v.extents)")
  }
  let memory = context.memory
  let wanted = context.node.integer("softmax_precision", default: q.declaredType == .f64 ? 11 : 1)
  guard let precision = castTargets[wanted], [.f16, .bf16, .f32, .f64].contains(precision) else {
    throw context.failure(.unsupported, expected: "softmax_precision 1, 10, 11 or 16", found: "\(wanted)")
  }
  let scale = context.node.float("scale").map(Double.init) ?? 1 / Double(q.extents[3]).squareRoot()
  let root = try converted(Tensor(doubles: [scale.squareRoot()], extents: []), to: q.type, context)
    .rounded(to: q.declaredType, memory)
  func scaled(_ x: Tensor) throws -> Tensor {
    try combine(x, root, "Mul", context).rounded(to: x.declaredType, memory)
  }
  let (heads, groups) = (q.extents[1], k.extents[1])
  func grouped(_ x: Tensor) -> Tensor {
    x.reshaped([x.extents[0], groups, x.extents[1] / groups] + x.extents[2...], memory)
  }
  func joined(_ x: Tensor) -> Tensor { x.reshaped([x.extents[0], heads] + x.extents[3...], memory) }
  let keys = try grouped(scaled(k)).transposed([0, 1, 2, 4, 3])
  let products = try joined(tensorProduct(grouped(scaled(q)), keys, context)).rounded(to: q.declaredType, memory)
  let scores = try modified(try cast(products, to: precision, context), by: "score_mod", context)
  let softmax = Node(
    OperatorName("Softmax"), name: context.node.name, inputs: Array(context.node.inputs.prefix(1)),
    outputs: context.node.outputs)
  var weights = try evaluateSoftmax(
    EvaluationContext(
      node: softmax, operands: [.tensor(scores)], graph: context.graph, memory: memory, matrices: context.matrices)
  ).rounded(to: scores.declaredType, memory)
  weights = try modified(weights, by: "prob_mod", context)
  let values = try cast(v, to: precision, context)
  let result = try joined(tensorProduct(grouped(weights), grouped(values), context))
  return try converted(result, to: q.type, context).rounded(to: q.declaredType, memory)
}

/// A tensor after a graph that gives one of the same shape and type; the tensor itself when there is none.
private func modified(_ x: Tensor, by attribute: String, _ context: EvaluationContext) throws -> Tensor {
  guard let body = context.body(attribute) else { return x }
  let results = try body.call(context).run([x])
  guard results.count == 1, results[0].isTensor, results[0].extents == x.extents, results[0].type == x.type else {
    throw context.failure(
      expected: "\(x.type)\(x.extents) from the graph \"\(attribute)\"",
      found: results.map { "\($0.type)\($0.extents)" }.joined(separator: " and "))
  }
  return results[0]
}

extension EvaluatorTable {
  static let flexibleAttentions: [OperatorName: Evaluator] = [
    OperatorName("FlexAttention", domain: "ai.onnx.preview"): { [try evaluateFlexAttention($0)] }
  ]
}
