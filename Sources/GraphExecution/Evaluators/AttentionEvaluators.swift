import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Attention over heads. Operands are read where they lie, as a projection wrote them; the result lies in memory as
/// `[batch, queries, heads, size]`, so that joining the heads again is no copy.
func evaluateAttention(_ context: EvaluationContext) throws -> Tensor {
  let (q, k, v) = (try context.floatTensor(0), try context.floatTensor(1), try context.floatTensor(2))
  guard q.rank == 4, k.rank == 4, v.rank == 4, context.node.outputs.count == 1, context.operands.count <= 4 else {
    throw context.failure(
      .unsupported, expected: "three operands of rank 4 and one result, without a cache",
      found: "\(q.extents), \(k.extents), \(v.extents)")
  }
  let (batch, heads, queries, size) = (q.extents[0], q.extents[1], q.extents[2], q.extents[3])
  let (groups, keys, width) = (k.extents[1], k.extents[2], v.extents[3])
  guard k.extents[0] == batch, v.extents[0] == batch, v.extents[1] == groups, v.extents[2] == keys, k.extents[3] == size,
    groups > 0 ? heads % groups == 0 : heads == 0
  else {
    throw context.failure(
      expected: "Q, K and V of one batch, equal groups of heads, one head size and as many keys as values",
      found: "\(q.extents), \(k.extents), \(v.extents)")
  }
  let memory = context.memory
  let result = try memory.tensor(.f32, [batch, queries, heads, width]).transposed([0, 2, 1, 3])
  if result.extents.contains(0) { return result }
  let scale = context.node.float("scale") ?? 1 / Float(size).squareRoot()
  var attention = TensorKernels.Attention(
    batch: batch, queryHeads: heads, keyValueHeads: groups, queries: queries, keys: keys, headDimension: size,
    valueDimension: width, scale: scale)
  attention.softcap = context.node.float("softcap") ?? 0
  if context.node.integer("is_causal", default: 0) != 0 { attention.causalOffset = 0 }
  let mask = try context.optionalTensor(3).map { try attentionMask($0, [batch, heads, queries, keys], context) }
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
private func attentionMask(_ mask: Tensor, _ scores: [Int], _ context: EvaluationContext) throws -> Tensor {
  guard mask.type == .bool || mask.type == .f32 else {
    throw context.failure(.typeMismatch, expected: "a mask of BOOL or F32", found: "\(mask.type)")
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

/// Rotates pairs of each head's elements; the result lies in memory as the operand does.
func evaluateRotaryEmbedding(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.floatTensor(0)
  guard x.rank == 4 else {
    throw context.failure(.unsupported, expected: "an operand of rank 4", found: "\(x.extents)")
  }
  let memory = context.memory
  let (batch, heads, places, size) = (x.extents[0], x.extents[1], x.extents[2], x.extents[3])
  let cosines = try angles(1, batch, places, context)
  let sines = try angles(2, batch, places, context)
  let half = cosines.extents[2]
  let turned = context.node.integer("rotary_embedding_dim", default: 0)
  guard sines.extents == cosines.extents, 2 * half == (turned == 0 ? size : turned), 2 * half <= size else {
    throw context.failure(
      expected: "as many cosines and sines as pairs of \(turned == 0 ? size : turned) elements",
      found: "\(cosines.extents) and \(sines.extents)")
  }
  let byPosition = x.strides[1] < x.strides[2]
  let result =
    byPosition
    ? try memory.tensor(.f32, [batch, places, heads, size]).transposed([0, 2, 1, 3]) : try memory.tensor(.f32, x.extents)
  if result.extents.contains(0) { return result }
  let source = x.strides[3] == 1 || size == 1 ? x : x.contiguous(memory)
  nonisolated(unsafe) let from = source.pointer(Float.self)
  nonisolated(unsafe) let to = result.written(Float.self)
  nonisolated(unsafe) let cosine = cosines.pointer(Float.self)
  nonisolated(unsafe) let sine = sines.pointer(Float.self)
  let interleaved = context.node.integer("interleaved", default: 0) != 0
  forEachStep(batch * heads, size: places * size, context.pool) { step in
    let (sequence, head) = step.quotientAndRemainder(dividingBy: heads)
    let angle = sequence * cosines.strides[0]
    Kernels.rotary(
      MatrixView(
        base: from + sequence * source.strides[0] + head * source.strides[1], rows: places, columns: size,
        rowStride: source.strides[2]),
      cosines: MatrixView(base: cosine + angle, rows: places, columns: half, rowStride: half),
      sines: MatrixView(base: sine + angle, rows: places, columns: half, rowStride: half), interleaved: interleaved,
      into: MutableMatrixView(
        base: to + sequence * result.strides[0] + head * result.strides[1], rows: places, columns: size,
        rowStride: result.strides[2]))
  }
  withExtendedLifetime((source, cosines, sines)) {}
  return result
}

/// The cosines or sines as `[batch, places, half]`, each sequence's rows dense.
private func angles(_ slot: Int, _ batch: Int, _ places: Int, _ context: EvaluationContext) throws -> Tensor {
  let cache = try context.floatTensor(slot)
  let found: Tensor
  if context.has(3) {
    guard cache.rank == 2 else {
      throw context.failure(expected: "[places, half] in operand \(slot)", found: "\(cache.extents)")
    }
    let numbers = try context.integers(3)
    let extents = try context.tensor(3).extents
    if let wrong = numbers.first(where: { $0 < 0 || $0 >= cache.extents[0] }) {
      throw GraphError(
        .indexOutOfRange, subject: .value(context.name(3)), expected: "places from 0 to \(cache.extents[0] - 1)",
        found: "\(wrong)")
    }
    let table = cache.contiguous(context.memory)
    let half = cache.extents[1]
    let rows = try context.memory.tensor(.f32, extents + [half])
    for (index, place) in numbers.enumerated() {
      (rows.written(Float.self) + index * half).update(from: table.pointer(Float.self) + place * half, count: half)
    }
    withExtendedLifetime(table.buffer) {}
    found = rows
  } else {
    found = cache.contiguous(context.memory)
  }
  guard found.rank == 3, found.extents[0] == batch || found.extents[0] == 1, found.extents[1] == places else {
    throw context.failure(expected: "[\(batch), \(places), half] in operand \(slot)", found: "\(found.extents)")
  }
  return found.broadcast(to: [batch, places, found.extents[2]])
}
