import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// The product of a node, then the bias, then the activation: one pass over the result.
///
/// A constant matrix on the right is packed once. Any other right operand is packed for this product, read where it lies when its
/// rows or its columns are dense.
func multiply(_ context: EvaluationContext, bias: Tensor?, activation: UnaryOperation) throws -> Tensor {
  let operand = try context.tensor(0)
  let a = operand.rank == 1 ? operand.asRow : operand
  if context.memory.precision != .double, let weight = context.weight(1),
    ExecutionPlan.isPackedOperand(context.node, 1, weight, context.memory.precision), a.type == .f32
  {
    try check(a, weight.shape.extents, context)
    let result = try product(a, weight, bias, activation, context)
    return operand.rank == 1 ? result.reshaped([weight.shape[1]]) : result
  }
  guard bias == nil, activation == .copy else {
    throw context.failure(.typeMismatch, expected: "operands of one element type", found: "\(a.type) and F32")
  }
  return try tensorProduct(operand, try context.tensor(1), context)
}

/// The product of two tensors of one type: of the last axis of the first and the last but one of the second, leading axes broadcast.
/// A vector on the left is a row, one on the right a column; the axis that makes it one is not in the result.
func tensorProduct(_ first: Tensor, _ second: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let a = first.rank == 1 ? first.asRow : first
  let b = second.rank == 1 ? second.asRow.transposed([1, 0]) : second
  try check(a, b.extents, context)
  guard a.type == b.type else {
    throw context.failure(.typeMismatch, expected: "operands of one element type", found: "\(a.type) and \(b.type)")
  }
  let result =
    switch a.type {
    case .f32: try products(a, b, context)
    case .f64: try doubleProducts(a, b, context)
    case .i32: try integerProducts(a, b, Int32.self, context)
    case .u32: try integerProducts(a, b, UInt32.self, context)
    case .i64: try integerProducts(a, b, Int64.self, context)
    case .u64: try integerProducts(a, b, UInt64.self, context)
    default: throw context.failure(.typeMismatch, expected: "numbers of 32 or 64 bits", found: "\(a.type)")
    }
  if first.rank > 1, second.rank > 1 { return result }
  var extents = result.extents
  if second.rank == 1 { extents.removeLast() }
  if first.rank == 1 { extents.remove(at: extents.count - (second.rank == 1 ? 1 : 2)) }
  return result.reshaped(extents, context.memory)
}

extension Tensor {
  /// A vector as a matrix of one row.
  fileprivate var asRow: Tensor { view([1, extents[0]], strides: [0, strides[0]]) }
}

private func check(_ a: Tensor, _ b: [Int], _ context: EvaluationContext) throws(GraphError) {
  guard a.rank >= 2, b.count >= 2 else {
    throw context.failure(expected: "operands of rank 1 or more", found: "\(a.extents) and \(b)")
  }
  guard a.extents[a.rank - 1] == b[b.count - 2] else {
    throw context.failure(
      expected: "as many columns on the left as rows on the right", found: "\(a.extents) and \(b)")
  }
}

/// One matrix for all rows of the left operand.
func product(
  _ a: Tensor, _ b: PackedMatrix, _ bias: Tensor?, _ activation: UnaryOperation, _ context: EvaluationContext
) throws -> Tensor {
  let result = try context.memory.tensor(.f32, a.extents.dropLast() + [b.columns])
  if result.extents.contains(0) { return result }
  var source = a
  if source.rows(columnsFrom: a.rank - 1) == nil { source = a.contiguous(context.memory) }
  let rows = result.elementCount / b.columns
  let stride = source.rows(columnsFrom: a.rank - 1)?.stride ?? b.depth
  Kernels.matrixProduct(
    MatrixView(base: source.pointer(Float.self), rows: rows, columns: b.depth, rowStride: stride), b,
    bias: bias?.pointer(Float.self), activation: activation,
    into: MutableMatrixView(base: result.written(Float.self), rows: rows, columns: b.columns, rowStride: b.columns),
    pool: context.pool)
  withExtendedLifetime((source.buffer, bias?.buffer)) {}
  return result
}

/// The right operand as the kernels' packing reads it.
private struct RightOperand {
  var tensor: Tensor
  var layout: PackedMatrix.Layout
  var stride: Int

  init(_ b: Tensor, _ memory: Memory) {
    let (k, n) = (b.rank - 2, b.rank - 1)
    let (depth, columns) = (b.extents[k], b.extents[n])
    if b.strides[n] == 1 || columns == 1, depth == 1 || b.strides[k] >= columns {
      self.init(tensor: b, layout: .inputsFirst, stride: max(depth == 1 ? columns : b.strides[k], columns))
    } else if b.strides[k] == 1 || depth == 1, columns == 1 || b.strides[n] >= depth {
      self.init(tensor: b, layout: .outputsFirst, stride: max(columns == 1 ? depth : b.strides[n], depth))
    } else {
      self.init(tensor: b.contiguous(memory), layout: .inputsFirst, stride: columns)
    }
  }

  init(tensor: Tensor, layout: PackedMatrix.Layout, stride: Int) {
    self.tensor = tensor
    self.layout = layout
    self.stride = stride
  }
}

/// Matrices on both sides, leading axes broadcast.
private func products(_ a: Tensor, _ b: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let (rows, depth, columns) = (a.extents[a.rank - 2], a.extents[a.rank - 1], b.extents[b.rank - 1])
  let batch = try context.broadcast([Array(a.extents.dropLast(2)), Array(b.extents.dropLast(2))])
  let memory = context.memory
  let pool = context.pool
  let result = try memory.tensor(.f32, batch + [rows, columns])
  if result.extents.contains(0) { return result }
  if depth == 0 {
    result.written(Float.self).update(repeating: 0, count: result.elementCount)
    return result
  }
  let right = RightOperand(b, memory)
  @Sendable func pack(_ base: UnsafePointer<Float>) -> PackedMatrix {
    let (outer, inner) = right.layout == .inputsFirst ? (depth, columns) : (columns, depth)
    let bytes = UnsafeRawBufferPointer(start: base, count: ((outer - 1) * right.stride + inner) * 4)
    return PackedMatrix(
      bytes, encoding: .float32, layout: right.layout, depth: depth, columns: columns, stride: right.stride, pool: pool)
  }
  defer { withExtendedLifetime(right.tensor.buffer) {} }
  if b.extents.dropLast(2).allSatisfy({ $0 == 1 }) {
    let flat = a.broadcast(to: batch + [rows, depth])
    return try product(flat, pack(right.tensor.pointer(Float.self)), nil, .copy, context)
  }
  let dense = a.strides[a.rank - 1] == 1 || depth == 1 ? a : a.contiguous(memory)
  let left = dense.broadcast(to: batch + [rows, depth])
  let matrices = right.tensor.broadcast(to: batch + [depth, columns])
  let count = batch.reduce(1, *)
  let nest = LoopNest(batch, [Array(left.strides.dropLast(2)), Array(matrices.strides.dropLast(2))])
  nonisolated(unsafe) let x = left.pointer(Float.self)
  nonisolated(unsafe) let y = matrices.pointer(Float.self)
  nonisolated(unsafe) let z = result.written(Float.self)
  let rowStride = left.strides[left.rank - 2]
  pool.forEach(count) { step in
    Kernels.matrixProduct(
      MatrixView(base: x + nest.offset(0, at: step, above: 0), rows: rows, columns: depth, rowStride: rowStride),
      pack(y + nest.offset(1, at: step, above: 0)),
      into: MutableMatrixView(base: z + step * rows * columns, rows: rows, columns: columns, rowStride: columns),
      pool: pool)
  }
  withExtendedLifetime(dense.buffer) {}
  return result
}

/// The same in double precision, one sum at a time, over ascending k.
func doubleProducts(_ a: Tensor, _ b: Tensor, _ context: EvaluationContext) throws -> Tensor {
  try plainProducts(a, b, Double.self, context) { $0 + $1 * $2 }
}

/// The same over integers, which wrap around.
private func integerProducts<Element: IntegerElement>(
  _ a: Tensor, _ b: Tensor, _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  try plainProducts(a, b, type, context) { $0 &+ $1 &* $2 }
}

private func plainProducts<Element: TensorElement & Numeric>(
  _ a: Tensor, _ b: Tensor, _ type: Element.Type, _ context: EvaluationContext,
  _ add: @Sendable (Element, Element, Element) -> Element
) throws -> Tensor {
  let (rows, depth, columns) = (a.extents[a.rank - 2], a.extents[a.rank - 1], b.extents[b.rank - 1])
  let batch = try context.broadcast([Array(a.extents.dropLast(2)), Array(b.extents.dropLast(2))])
  let result = try context.memory.tensor(a.type, batch + [rows, columns])
  if result.extents.contains(0) { return result }
  let left = a.broadcast(to: batch + [rows, depth])
  let right = b.broadcast(to: batch + [depth, columns])
  let outer = batch + [rows]
  let (leftStrides, rightStrides) = (Array(left.strides.dropLast()), Array(right.strides.dropLast(2)) + [0])
  let nest = LoopNest(outer, [leftStrides, rightStrides])
  nonisolated(unsafe) let x = left.pointer(type)
  nonisolated(unsafe) let y = right.pointer(type)
  nonisolated(unsafe) let z = result.written(type)
  let (step, down, across) = (left.strides[left.rank - 1], right.strides[right.rank - 2], right.strides[right.rank - 1])
  forEachStep(result.elementCount / columns, size: depth * columns, context.pool) { row in
    let from = x + nest.offset(0, at: row, above: 0)
    let matrix = y + nest.offset(1, at: row, above: 0)
    let to = z + row * columns
    for column in 0..<columns { to[column] = 0 }
    for k in 0..<depth {
      let factor = from[k * step]
      for column in 0..<columns { to[column] = add(to[column], factor, matrix[k * down + column * across]) }
    }
  }
  withExtendedLifetime((a, b)) {}
  return result
}

extension EvaluatorTable {
  static let products: [OperatorName: Evaluator] = [
    OperatorName("MatMul"): { [try multiply($0, bias: nil, activation: .copy)] },
    OperatorName("Gemm"): { [try evaluateGemm($0)] },
    OperatorName("Einsum"): { [try evaluateEinsum($0)] },
  ]
}
