import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Attention over heads, with a cache inside of the operator or outside.
///
/// Operands are read where they lie, as a projection wrote them; the result lies in memory as `[batch, queries, heads, size]`,
/// so that joining the heads again is no copy.
///
/// - Source: ONNX Attention-25, with its corrections to 23 and 24.
func evaluateAttention(_ context: EvaluationContext) throws -> [Tensor] {
  let node = context.node
  var (q, k, v) = (try context.tensor(0), try context.tensor(1), try context.tensor(2))
  let isJoined = q.rank == 3
  if isJoined {
    q = try q.split(heads: node.integer("q_num_heads", default: 0), 0, context)
    k = try k.split(heads: node.integer("kv_num_heads", default: 0), 1, context)
    v = try v.split(heads: node.integer("kv_num_heads", default: 0), 2, context)
  }
  guard q.rank == 4, k.rank == 4, v.rank == 4 else {
    throw context.failure(
      expected: "three operands of rank 3 or 4", found: "\(q.extents), \(k.extents), \(v.extents)")
  }
  var past = 0
  if let pastKey = try context.optionalTensor(4), let pastValue = try context.optionalTensor(5) {
    k = try concatenated([pastKey, k], axis: 2, context)
    v = try concatenated([pastValue, v], axis: 2, context)
    past = pastKey.extents[2]
  }
  var attention = HeadAttention(query: q, key: k, value: v)
  attention.scale = node.float("scale")
  attention.softcap = node.float("softcap") ?? 0
  attention.isCausal = node.integer("is_causal", default: 0) != 0
  let (left, right) = (node.integer("left_window_size", default: -1), node.integer("right_window_size", default: -1))
  if left >= 0 { attention.left = min(left, 1 << 31) }
  if right >= 0 { attention.right = min(right, 1 << 31) }
  attention.offsets = Array(repeating: past, count: q.extents[0])
  if context.has(6) {
    let lengths = try context.integers(6)
    attention.lengths = lengths
    if past == 0 { attention.offsets = lengths.map { max($0, -(1 << 31)) - q.extents[2] } }
  }
  if var mask = try context.optionalTensor(3) {
    if let extent = mask.extents.last, extent < k.extents[2], extent != 1 || k.extents[2] == 0 || context.has(6) {
      mask = try extended(mask, to: k.extents[2], context)
    }
    if mask.type == .bool { attention.mask = mask } else { attention.bias = mask }
  }
  var score: HeadAttention.Score?
  if node.outputs.count > 3, node.outputs[3] != nil {
    let mode = node.integer("qk_matmul_output_mode", default: 0)
    guard let known = HeadAttention.Score(rawValue: mode) else {
      throw context.failure(.unsupported, expected: "a qk_matmul_output_mode from 0 to 3", found: "\(mode)")
    }
    score = known
  }
  let (result, scores) = try attention(context, scores: score)
  let output = isJoined ? result.joinedHeads(context) : result
  return [output, k, v] + (scores.map { [$0] } ?? [])
}

/// A mask over more keys, none of which may be seen.
private func extended(_ mask: Tensor, to keys: Int, _ context: EvaluationContext) throws -> Tensor {
  var positions = mask.extents.map { Array(0..<$0) }
  positions[mask.rank - 1] = (0..<keys).map { $0 < mask.extents[mask.rank - 1] ? $0 : -1 }
  let fill =
    mask.type == .bool
    ? Tensor(truths: [false], extents: [])
    : try converted(Tensor(floats: [-.infinity], extents: []), to: mask.type, context)
  return try mask.picking(positions, fill: fill, context.memory)
}

/// Tensors one after the other along an axis.
func concatenated(_ parts: [Tensor], axis: Int, _ context: EvaluationContext) throws -> Tensor {
  guard let first = parts.first, axis < first.rank else {
    throw context.failure(expected: "tensors to join along axis \(axis)", found: "\(parts.map(\.extents))")
  }
  var extents = first.extents
  extents[axis] = 0
  for part in parts {
    var rest = part.extents
    if part.rank == first.rank { rest[axis] = extents[axis] }
    guard part.type == first.type, rest == extents else {
      throw context.failure(
        expected: "operands that differ along axis \(axis) only",
        found: parts.map { "\($0.type)\($0.extents)" }.joined(separator: ", "))
    }
    let (sum, overflow) = extents[axis].addingReportingOverflow(part.extents[axis])
    guard !overflow else { throw context.failure(.tooLarge, expected: "a countable extent", found: "more") }
    extents[axis] = sum
  }
  let result = try context.memory.tensor(first.type, extents)
  var start = 0
  for part in parts {
    copyElements(of: part, to: result.sliced(axis: axis, start: start, count: part.extents[axis]), context.pool)
    start += part.extents[axis]
  }
  return result
}

extension EvaluatorTable {
  static let attentions: [OperatorName: Evaluator] = [
    OperatorName("Attention"): { try evaluateAttention($0) }
  ]
}
