import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Rows normalised, scaled and shifted; on demand also their means and the reciprocals of their deviations.
func evaluateLayerNormalization(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: -1), rank: x.rank)
  let scale = try vector(1, of: x, from: axis, context)
  let bias = context.has(2) ? try vector(2, of: x, from: axis, context) : nil
  let epsilon = context.node.float("epsilon") ?? 1e-5
  let result = try layerNormalized(x, axis, scale, bias, epsilon, context)
  return [result] + (try moments(x, axis, epsilon, isCentred: true, context))
}

/// Rows normalised from an axis on; scale and bias are dense, one number for each element of a row.
func layerNormalized(
  _ x: Tensor, _ axis: Int, _ scale: Tensor, _ bias: Tensor?, _ epsilon: Float, _ context: EvaluationContext
) throws -> Tensor {
  defer { withExtendedLifetime((scale.buffer, bias?.buffer)) {} }
  if x.type == .f64 {
    let (scales, shifts) = (scale.doubles(), bias?.doubles())
    return try mapDoubleRows(x, columnsFrom: axis, context) { row in
      let mean = row.reduce(0, +) / Double(row.count)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
      let root = (variance + Double(epsilon)).squareRoot()
      return row.indices.map { (row[$0] - mean) / root * scales[$0] + (shifts?[$0] ?? 0) }
    }
  }
  return try mapRows(x, columnsFrom: axis, context) {
    Kernels.layerNorm(
      $0, scale: scale.pointer(Float.self), bias: bias?.pointer(Float.self), epsilon: epsilon, into: $1,
      pool: context.pool)
  }
}

/// The mean of each row, and 1 / √(variance + epsilon) or without centring 1 / √(mean of squares + epsilon), when the node has results for
/// them.
func moments(
  _ x: Tensor, _ axis: Int, _ epsilon: Float, isCentred: Bool, _ context: EvaluationContext
) throws -> [Tensor] {
  guard context.node.outputs.dropFirst().contains(where: { $0 != nil }) else { return [] }
  let columns = x.extents[axis...].reduce(1, *)
  let extents = Array(x.extents[..<axis]) + x.extents[axis...].map { _ in 1 }
  let values = x.doubles()
  var (means, roots): ([Double], [Double]) = ([], [])
  for row in 0..<extents.reduce(1, *) {
    let part = values[row * columns..<(row + 1) * columns]
    let mean = part.reduce(0, +) / Double(columns)
    let centre = isCentred ? mean : 0
    let variance = part.reduce(0) { $0 + ($1 - centre) * ($1 - centre) } / Double(columns)
    means.append(mean)
    roots.append(1 / (variance + Double(epsilon)).squareRoot())
  }
  return try (isCentred ? [means, roots] : [roots]).map {
    // They are in single precision whatever the operand is (stash_type 1).
    try converted(Tensor(doubles: $0, extents: extents), to: context.memory.floatType, context)
  }
}

/// Rows divided by the root of their mean square, and scaled; the reciprocal of that root on demand.
func evaluateRMSNormalization(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: -1), rank: x.rank)
  let scale = try vector(1, of: x, from: axis, context)
  let epsilon = context.node.float("epsilon") ?? 1e-5
  let result = try rootNormalized(x, axis, scale, epsilon, context)
  return [result] + (try moments(x, axis, epsilon, isCentred: false, context))
}

/// Rows divided by the root of their mean square, from an axis on; the scale is dense.
func rootNormalized(
  _ x: Tensor, _ axis: Int, _ scale: Tensor, _ epsilon: Float, _ context: EvaluationContext
) throws -> Tensor {
  defer { withExtendedLifetime(scale.buffer) {} }
  if x.type == .f64 {
    let scales = scale.doubles()
    return try mapDoubleRows(x, columnsFrom: axis, context) { row in
      let root = (row.reduce(0) { $0 + $1 * $1 } / Double(row.count) + Double(epsilon)).squareRoot()
      return row.indices.map { row[$0] / root * scales[$0] }
    }
  }
  return try mapRows(x, columnsFrom: axis, context) {
    Kernels.rmsNorm($0, scale: scale.pointer(Float.self), epsilon: epsilon, into: $1, pool: context.pool)
  }
}

/// A scale or bias, as one number for each element of a normalised row.
func vector(_ slot: Int, of x: Tensor, from axis: Int, _ context: EvaluationContext) throws -> Tensor {
  let found = try context.tensor(slot)
  let target = Array(x.extents[axis...])
  guard found.type == x.type else {
    throw context.failure(.typeMismatch, expected: "\(x.type) in operand \(slot)", found: "\(found.type)")
  }
  guard try context.broadcast([found.extents, target]) == target else {
    throw context.failure(expected: "\(target) in operand \(slot)", found: "\(found.extents)")
  }
  return found.broadcast(to: target).contiguous(context.memory)
}

/// Applies a kernel to the rows that the axes from `axis` on make up.
func mapRows(
  _ x: Tensor, columnsFrom axis: Int, _ context: EvaluationContext, _ body: (MatrixView, MutableMatrixView) -> Void
) throws -> Tensor {
  guard x.type == .f32 else { throw context.failure(.typeMismatch, expected: "F32", found: "\(x.type)") }
  let result = try context.memory.tensor(.f32, x.extents)
  if x.extents.contains(0) { return result }
  var source = x
  if source.rows(columnsFrom: axis) == nil { source = x.contiguous(context.memory) }
  guard let layout = source.rows(columnsFrom: axis) else {
    throw context.failure(expected: "rows", found: "\(x.extents)")
  }
  body(
    MatrixView(
      base: source.pointer(Float.self), rows: layout.rows, columns: layout.columns, rowStride: layout.stride),
    MutableMatrixView(
      base: result.written(Float.self), rows: layout.rows, columns: layout.columns, rowStride: layout.columns))
  withExtendedLifetime(source.buffer) {}
  return result
}

/// Applies a function to the rows that the axes from `axis` on make up, in double precision.
func mapDoubleRows(
  _ x: Tensor, columnsFrom axis: Int, _ context: EvaluationContext, _ body: @Sendable ([Double]) -> [Double]
) throws -> Tensor {
  let result = try context.memory.tensor(.f64, x.extents)
  if x.extents.contains(0) { return result }
  let dense = x.contiguous(context.memory)
  let columns = x.extents[axis...].reduce(1, *)
  nonisolated(unsafe) let from = dense.pointer(Double.self)
  nonisolated(unsafe) let to = result.written(Double.self)
  forEachStep(x.elementCount / columns, size: columns, context.pool) { row in
    let values = body(Array(UnsafeBufferPointer(start: from + row * columns, count: columns)))
    for (column, value) in values.enumerated() { to[row * columns + column] = value }
  }
  withExtendedLifetime(dense.buffer) {}
  return result
}

extension EvaluatorTable {
  static let normalizations: [OperatorName: Evaluator] = [
    OperatorName("LayerNormalization"): { try evaluateLayerNormalization($0) },
    OperatorName("RMSNormalization"): { try evaluateRMSNormalization($0) },
    OperatorName("SimplifiedLayerNormalization"): { try evaluateRMSNormalization($0) },
  ]
}
