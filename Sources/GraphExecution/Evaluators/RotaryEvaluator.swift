import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Rotates pairs of each head's elements; the result lies in memory as the operand does.
func evaluateRotaryEmbedding(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  guard x.type == .f32 || x.type == .f64 else {
    throw context.failure(.typeMismatch, expected: "F32 or F64", found: "\(x.type)")
  }
  guard x.rank == 4 else {
    throw context.failure(.unsupported, expected: "an operand of rank 4", found: "\(x.extents)")
  }
  let memory = context.memory
  let (batch, heads, places, size) = (x.extents[0], x.extents[1], x.extents[2], x.extents[3])
  let cosines = try angles(1, x.type, batch, places, context)
  let sines = try angles(2, x.type, batch, places, context)
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
    ? try memory.tensor(x.type, [batch, places, heads, size]).transposed([0, 2, 1, 3])
    : try memory.tensor(x.type, x.extents)
  if result.extents.contains(0) { return result }
  let source = x.strides[3] == 1 || size == 1 ? x : x.contiguous(memory)
  let interleaved = context.node.integer("interleaved", default: 0) != 0
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

/// The cosines or sines as `[batch, places, half]`, each sequence's rows dense.
private func angles(
  _ slot: Int, _ type: ElementType, _ batch: Int, _ places: Int, _ context: EvaluationContext
) throws -> Tensor {
  let cache = try context.tensor(slot)
  guard cache.type == type else {
    throw context.failure(.typeMismatch, expected: "\(type) in operand \(slot)", found: "\(cache.type)")
  }
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
    let rows = try context.memory.tensor(type, extents + [cache.extents[1]])
    let flat = rows.view(
      [numbers.count, cache.extents[1]], strides: rowMajorStrides([numbers.count, cache.extents[1]]))
    for (index, place) in numbers.enumerated() {
      copyElements(
        of: cache.sliced(axis: 0, start: place, count: 1), to: flat.sliced(axis: 0, start: index, count: 1), nil)
    }
    found = rows
  } else {
    found = cache.contiguous(context.memory)
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
