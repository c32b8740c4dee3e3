import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

func evaluateCumSum(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let axis = try context.axis(context.integer(1), rank: x.rank)
  switch x.type {
  case .f32: return try runningSums(x, axis, Float.self, context) { $0 + $1 }
  case .f64: return try runningSums(x, axis, Double.self, context) { $0 + $1 }
  case .i64: return try runningSums(x, axis, Int64.self, context) { $0 &+ $1 }
  case .i32: return try runningSums(x, axis, Int32.self, context) { $0 &+ $1 }
  default: throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)")
  }
}

private func runningSums<Element: TensorElement & ExpressibleByIntegerLiteral>(
  _ x: Tensor, _ axis: Int, _ type: Element.Type, _ context: EvaluationContext,
  _ add: @Sendable (Element, Element) -> Element
) throws -> Tensor {
  let exclusive = context.node.integer("exclusive", default: 0) != 0
  let reverse = context.node.integer("reverse", default: 0) != 0
  let dense = x.contiguous(context.memory)
  let result = try context.memory.tensor(x.type, x.extents)
  let count = x.extents[axis]
  let inner = x.extents[(axis + 1)...].reduce(1, *)
  let outer = x.extents[..<axis].reduce(1, *)
  nonisolated(unsafe) let from = dense.pointer(type)
  nonisolated(unsafe) let to = result.written(type)
  forEachStep(outer, size: count * inner, context.pool) { block in
    for place in 0..<inner {
      var sum: Element = 0
      for step in 0..<count {
        let index = (block * count + (reverse ? count - 1 - step : step)) * inner + place
        let next = add(sum, from[index])
        to[index] = exclusive ? sum : next
        sum = next
      }
    }
  }
  withExtendedLifetime(dense.buffer) {}
  return result
}

func evaluateReduceMax(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  var axes: Set<Int> = []
  for axis in context.has(1) ? try context.integers(1) : [] { axes.insert(try context.axis(axis, rank: x.rank)) }
  if axes.isEmpty {
    if context.node.integer("noop_with_empty_axes", default: 0) != 0 { return x }
    axes = Set(0..<x.rank)
  }
  let kept = (0..<x.rank).filter { !axes.contains($0) }
  let columns = axes.reduce(1) { $0 * x.extents[$1] }
  let dense = x.transposed(kept + axes.sorted()).contiguous(context.memory)
  let keeps = context.node.integer("keepdims", default: 1) != 0
  let extents = keeps ? (0..<x.rank).map { axes.contains($0) ? 1 : x.extents[$0] } : kept.map { x.extents[$0] }
  let result = try context.memory.tensor(x.type, extents)
  let rows = result.elementCount
  if columns == 0, rows > 0, !x.type.isFloatingPoint {
    throw context.failure(expected: "an element to reduce", found: "\(x.extents)")
  }
  defer { withExtendedLifetime(dense.buffer) {} }
  switch x.type {
  case .f32:
    Kernels.reduceRows(
      .maximum, MatrixView(base: dense.pointer(Float.self), rows: rows, columns: columns, rowStride: columns),
      into: UnsafeMutableBufferPointer(start: result.written(Float.self), count: rows), pool: context.pool)
  case .f64:
    largest(dense, result, rows, columns, context) { (a: Double, b: Double) in a.isNaN || b.isNaN ? .nan : max(a, b) }
  case .i64: largest(dense, result, rows, columns, context) { (a: Int64, b: Int64) in max(a, b) }
  case .i32: largest(dense, result, rows, columns, context) { (a: Int32, b: Int32) in max(a, b) }
  default: largest(dense, result, rows, columns, context) { (a: UInt8, b: UInt8) in max(a, b) }
  }
  return result
}

private func largest<Element: TensorElement>(
  _ x: Tensor, _ y: Tensor, _ rows: Int, _ columns: Int, _ context: EvaluationContext,
  _ larger: @Sendable (Element, Element) -> Element
) {
  nonisolated(unsafe) let from = x.pointer(Element.self)
  nonisolated(unsafe) let to = y.written(Element.self)
  if columns == 0 {
    if let lowest = -Double.infinity as? Element { for row in 0..<rows { to[row] = lowest } }
    return
  }
  forEachStep(rows, size: columns, context.pool) { row in
    var result = from[row * columns]
    for column in 1..<max(columns, 1) { result = larger(result, from[row * columns + column]) }
    to[row] = result
  }
}

extension EvaluatorTable {
  static let reductions: [OperatorName: Evaluator] = [
    OperatorName("CumSum"): { [try evaluateCumSum($0)] },
    OperatorName("ReduceMax"): { [try evaluateReduceMax($0)] },
  ]
}
