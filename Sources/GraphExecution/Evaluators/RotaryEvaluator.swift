import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Rotates pairs of each head's elements, by angles that a cache holds for each position.
func evaluateRotaryEmbedding(_ context: EvaluationContext) throws -> Tensor {
  let operand = try context.tensor(0)
  let isJoined = operand.rank == 3
  let x = isJoined ? try operand.split(heads: context.node.integer("num_heads", default: 0), 0, context) : operand
  guard x.rank == 4 else {
    throw context.failure(expected: "an operand of rank 3 or 4", found: "\(x.extents)")
  }
  let places = context.has(3) ? (try context.integers(3), try context.tensor(3).extents) : nil
  let turned = context.node.integer("rotary_embedding_dim", default: 0)
  let isInterleaved = context.node.integer("interleaved", default: 0) != 0
  let result = try rotated(
    x, cosines: angles(1, x, places, context), sines: angles(2, x, places, context), isInterleaved: isInterleaved,
    size: turned == 0 ? nil : turned, context)
  return isJoined ? result.joinedHeads(context) : result
}

/// Rotates pairs of each head's elements; the result lies in memory as the operand does.
///
/// - x: `[batch, heads, positions, size]`. cosines, sines: `[batch, positions, half]`, each sequence's rows dense.
func rotated(
  _ x: Tensor, cosines: Tensor, sines: Tensor, isInterleaved interleaved: Bool, size turned: Int? = nil,
  _ context: EvaluationContext
) throws -> Tensor {
  guard x.type == .f32 || x.type == .f64 else {
    throw context.failure(.typeMismatch, expected: "F32 or F64", found: "\(x.type)")
  }
  let memory = context.memory
  let (batch, heads, places, size) = (x.extents[0], x.extents[1], x.extents[2], x.extents[3])
  let half = cosines.extents[2]
  guard sines.extents == cosines.extents, 2 * half == turned ?? size, 2 * half <= size else {
    throw context.failure(
      expected: "as many cosines and sines as pairs of \(turned ?? size) elements",
      found: "\(cosines.extents) and \(sines.extents)")
  }
  let byPosition = x.strides[1] < x.strides[2]
  let result =
    byPosition
    ? try memory.tensor(x.type, [batch, places, heads, size]).transposed([0, 2, 1, 3])
    : try memory.tensor(x.type, x.extents)
  if result.extents.contains(0) { return result }
  let source = x.strides[3] == 1 || size == 1 ? x : x.contiguous(memory)
  if x.type == .f64 {
    rotateDoubles(source, cosines, sines, interleaved, result)
    return result
  }
  nonisolated(unsafe) let from = source.pointer(Float.self)
  nonisolated(unsafe) let to = result.written(Float.self)
  nonisolated(unsafe) let cosine = cosines.pointer(Float.self)
  nonisolated(unsafe) let sine = sines.pointer(Float.self)
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

/// The cosines or sines as `[batch, positions, half]`, each sequence's rows dense; the rows of the cache that numbers name, if there are any.
func angles(
  _ slot: Int, _ x: Tensor, _ numbers: (places: [Int], extents: [Int])?, _ context: EvaluationContext
) throws -> Tensor {
  let cache = try context.tensor(slot)
  let (batch, places) = (x.extents[0], x.extents[2])
  guard cache.type == x.type else {
    throw context.failure(.typeMismatch, expected: "\(x.type) in operand \(slot)", found: "\(cache.type)")
  }
  var found = cache.contiguous(context.memory)
  if let numbers {
    guard cache.rank == 2 else {
      throw context.failure(expected: "[places, half] in operand \(slot)", found: "\(cache.extents)")
    }
    if let wrong = numbers.places.first(where: { $0 < 0 || $0 >= cache.extents[0] }) {
      throw GraphError(
        .indexOutOfRange, subject: .value(context.name(slot)), expected: "places from 0 to \(cache.extents[0] - 1)",
        found: "\(wrong)")
    }
    found = try found.picking([numbers.places, Array(0..<cache.extents[1])], context.memory)
      .reshaped(numbers.extents + [cache.extents[1]], context.memory)
  }
  guard found.rank == 3, found.extents[0] == batch || found.extents[0] == 1, found.extents[1] == places else {
    throw context.failure(expected: "[\(batch), \(places), half] in operand \(slot)", found: "\(found.extents)")
  }
  return found.broadcast(to: [batch, places, found.extents[2]])
}

/// The same in double precision.
private func rotateDoubles(_ x: Tensor, _ cosines: Tensor, _ sines: Tensor, _ interleaved: Bool, _ y: Tensor) {
  let half = cosines.extents[2]
  let (from, to) = (x.pointer(Double.self), y.written(Double.self))
  let (cosine, sine) = (cosines.pointer(Double.self), sines.pointer(Double.self))
  for row in 0..<x.extents[0] * x.extents[1] * x.extents[2] {
    let (rest, place) = row.quotientAndRemainder(dividingBy: x.extents[2])
    let (sequence, head) = rest.quotientAndRemainder(dividingBy: x.extents[1])
    let a = from + sequence * x.strides[0] + head * x.strides[1] + place * x.strides[2]
    let b = to + sequence * y.strides[0] + head * y.strides[1] + place * y.strides[2]
    let angle = sequence * cosines.strides[0] + place * half
    for index in 2 * half..<max(x.extents[3], 2 * half) { b[index] = a[index] }
    for pair in 0..<half {
      let (i, j) = interleaved ? (2 * pair, 2 * pair + 1) : (pair, pair + half)
      let (c, s) = (cosine[angle + pair], sine[angle + pair])
      (b[i], b[j]) = (a[i] * c - a[j] * s, a[j] * c + a[i] * s)
    }
  }
  withExtendedLifetime((x, cosines, sines)) {}
}

extension EvaluatorTable {
  static let rotations: [OperatorName: Evaluator] = [
    OperatorName("RotaryEmbedding"): { [try evaluateRotaryEmbedding($0)] }
  ]
}
