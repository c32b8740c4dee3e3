import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Attention over heads. Operands are read where they lie, as a projection wrote them; the result lies in memory as
/// `[batch, queries, heads, size]`, so that joining the heads again is no copy.
func evaluateAttention(_ context: EvaluationContext) throws -> Tensor {
  let (q, k, v) = (try context.tensor(0), try context.tensor(1), try context.tensor(2))
  guard q.type == .f32 || q.type == .f64, k.type == q.type, v.type == q.type else {
    throw context.failure(
      .typeMismatch, expected: "F32 or F64 in Q, K and V", found: "\(q.type), \(k.type) and \(v.type)")
  }
  guard q.rank == 4, k.rank == 4, v.rank == 4, context.node.outputs.count == 1, context.operands.count <= 4 else {
    throw context.failure(
      .unsupported, expected: "three operands of rank 4 and one result, without a cache",
      found: "\(q.extents), \(k.extents), \(v.extents)")
  }
  let (batch, heads, queries, size) = (q.extents[0], q.extents[1], q.extents[2], q.extents[3])
  let (groups, keys, width) = (k.extents[1], k.extents[2], v.extents[3])
  guard k.extents[0] == batch, v.extents[0] == batch, v.extents[1] == groups, v.extents[2] == keys,
    k.extents[3] == size,
    groups > 0 ? heads % groups == 0 : heads == 0
  else {
    throw context.failure(
      expected: "Q, K and V of one batch, equal groups of heads, one head size and as many keys as values",
      found: "\(q.extents), \(k.extents), \(v.extents)")
  }
  let memory = context.memory
  let mask = try context.optionalTensor(3).map {
    try attentionMask($0, [batch, heads, queries, keys], q.type, context)
  }
  if q.type == .f64 { return try doubleAttention(q, k, v, mask, context) }
  let result = try memory.tensor(.f32, [batch, queries, heads, width]).transposed([0, 2, 1, 3])
  if result.extents.contains(0) { return result }
  let scale = context.node.float("scale") ?? 1 / Float(size).squareRoot()
  var attention = TensorKernels.Attention(
    batch: batch, queryHeads: heads, keyValueHeads: groups, queries: queries, keys: keys, headDimension: size,
    valueDimension: width, scale: scale)
  attention.softcap = context.node.float("softcap") ?? 0
  if context.node.integer("is_causal", default: 0) != 0 { attention.causalOffset = 0 }
  switch mask?.type {
  case .bool?: attention.mask = mask.map { HeadsView(of: $0, UInt8.self) }
  case .f32?: attention.bias = mask.map { HeadsView(of: $0, Float.self) }
  default: break
  }
  let operands = [q, k, v].map { $0.strides[3] == 1 || $0.extents[3] <= 1 ? $0 : $0.contiguous(memory) }
  attention(
    query: HeadsView(of: operands[0], Float.self), key: HeadsView(of: operands[1], Float.self),
    value: HeadsView(of: operands[2], Float.self),
    output: HeadsView(
      base: result.written(Float.self), batchStride: result.strides[0], headStride: result.strides[1],
      positionStride: result.strides[2]),
    pool: context.pool)
  withExtendedLifetime((operands, mask)) {}
  return result
}

/// A mask as a view `[batch, heads, queries, keys]` whose keys are neighbours.
private func attentionMask(
  _ mask: Tensor, _ scores: [Int], _ type: ElementType, _ context: EvaluationContext
) throws -> Tensor {
  guard mask.type == .bool || mask.type == type else {
    throw context.failure(.typeMismatch, expected: "a mask of BOOL or \(type)", found: "\(mask.type)")
  }
  guard mask.rank <= 4, try context.broadcast([mask.extents, scores]) == scores else {
    throw context.failure(expected: "a mask that broadcasts to \(scores)", found: "\(mask.extents)")
  }
  var rows = mask
  if rows.rank == 0 { rows = rows.view([1], strides: [0]) }
  if rows.extents[rows.rank - 1] != scores[3] || rows.strides[rows.rank - 1] != 1 {
    rows = rows.broadcast(to: rows.extents.dropLast() + [scores[3]]).contiguous(context.memory)
  }
  return rows.broadcast(to: scores)
}

extension HeadsView {
  /// The vectors of a tensor `[batch, heads, positions, size]`.
  fileprivate init<Element: TensorElement>(of tensor: Tensor, _ type: Element.Type)
  where Pointer == UnsafePointer<Element> {
    self.init(
      base: tensor.pointer(type), batchStride: tensor.strides[0], headStride: tensor.strides[1],
      positionStride: tensor.strides[2])
  }
}

extension EvaluatorTable {
  static let attentions: [OperatorName: Evaluator] = [
    OperatorName("Attention"): { [try evaluateAttention($0)] }
  ]
}
