import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// A tensor as rows that are reduced each to one element.
private struct Rows {
  let dense: Tensor
  let count: Int
  let columns: Int
  /// The extents of the result.
  let extents: [Int]
}

/// Reductions of some axes: the operators `Reduce…`. Axes are an operand, or before version 18 (`ReduceSum` 13) an attribute.
///
/// Sums run over ascending indices in one accumulator, so that terms of zero change nothing.
func evaluateReduce(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  var axes: Set<Int> = []
  let given = context.has(1) ? try context.integers(1) : context.node.integers("axes") ?? []
  for axis in given { axes.insert(try context.axis(axis, rank: x.rank)) }
  if axes.isEmpty, context.node.integer("noop_with_empty_axes", default: 0) == 0 { axes = Set(0..<x.rank) }
  let kept = (0..<x.rank).filter { !axes.contains($0) }
  let keeps = context.node.integer("keepdims", default: 1) != 0
  let rows = Rows(
    dense: x.transposed(kept + axes.sorted()).contiguous(context.memory),
    count: kept.reduce(1) { $0 * x.extents[$1] }, columns: axes.reduce(1) { $0 * x.extents[$1] },
    extents: keeps ? (0..<x.rank).map { axes.contains($0) ? 1 : x.extents[$0] } : kept.map { x.extents[$0] })
  defer { withExtendedLifetime(rows.dense.buffer) {} }
  let name = context.node.op.name
  switch x.type {
  case .f32:
    if let reduction: RowReduction = name == "ReduceMax" ? .maximum : name == "ReduceMin" ? .minimum : nil {
      let result = try context.memory.tensor(.f32, rows.extents)
      Kernels.reduceRows(
        reduction,
        MatrixView(
          base: rows.dense.pointer(Float.self), rows: rows.count, columns: rows.columns, rowStride: rows.columns),
        into: UnsafeMutableBufferPointer(start: result.written(Float.self), count: rows.count), pool: context.pool)
      return result
    }
    return try reduceFloats(rows, Float.self, context)
  case .f64: return try reduceFloats(rows, Double.self, context)
  case .i64: return try reduceIntegers(rows, Int64.self, context)
  case .i32: return try reduceIntegers(rows, Int32.self, context)
  case .string: throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)")
  default:
    let element = x.type.wholeElement
    return try reduceIntegers(rows, element, context)
  }
}

private func reduce<Element: TensorElement>(
  _ rows: Rows, _ context: EvaluationContext, _ body: @Sendable (UnsafeBufferPointer<Element>) -> Element
) throws -> Tensor {
  let result = try context.memory.tensor(rows.dense.type, rows.extents)
  nonisolated(unsafe) let from = rows.dense.pointer(Element.self)
  nonisolated(unsafe) let to = result.written(Element.self)
  let columns = rows.columns
  forEachStep(rows.count, size: columns, context.pool) { row in
    to[row] = body(UnsafeBufferPointer(start: from + row * columns, count: columns))
  }
  return result
}

private func reduceFloats<Element: FloatElement>(
  _ rows: Rows, _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  switch context.node.op.name {
  case "ReduceSum": return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 + $1 } }
  case "ReduceMean":
    return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 + $1 } / Element(row.count) }
  case "ReduceProd": return try reduce(rows, context) { row in row.reduce(Element(1)) { $0 * $1 } }
  case "ReduceMax":
    return try reduce(rows, context) { row in
      row.reduce(-(Element.infinity)) { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
    }
  case "ReduceMin":
    return try reduce(rows, context) { row in
      row.reduce(Element.infinity) { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }
    }
  case "ReduceL1": return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 + abs($1) } }
  case "ReduceL2":
    return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 + $1 * $1 }.squareRoot() }
  case "ReduceSumSquare": return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 + $1 * $1 } }
  case "ReduceLogSum":
    return try reduce(rows, context) { row in Element(logarithm(Double(row.reduce(Element(0)) { $0 + $1 }))) }
  case "ReduceLogSumExp":
    return try reduce(rows, context) { (row: UnsafeBufferPointer<Element>) in logarithmOfSum(row) }
  default: throw context.failure(.unsupported, expected: "a known reduction", found: "\(context.node.op)")
  }
}

/// ln Σ e^x, without overflow.
private func logarithmOfSum<Element: FloatElement>(_ row: UnsafeBufferPointer<Element>) -> Element {
  var largest = -Double.infinity
  for value in row { largest = max(largest, Double(value)) }
  if largest.isInfinite { return Element(largest) }
  var sum = 0.0
  for value in row { sum += exponential(Double(value) - largest) }
  return Element(largest + logarithm(sum))
}

private func reduceIntegers<Element: IntegerElement>(
  _ rows: Rows, _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  let isTruth = rows.dense.type == .bool
  switch context.node.op.name {
  case "ReduceMax":
    let least = isTruth ? 0 : Element.min
    return try reduce(rows, context) { row in row.reduce(least) { max($0, $1) } }
  case "ReduceMin":
    let largest = isTruth ? 1 : Element.max
    return try reduce(rows, context) { row in row.reduce(largest) { min($0, $1) } }
  case _ where isTruth: throw context.failure(.typeMismatch, expected: "numbers", found: "BOOL")
  case "ReduceSum": return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 &+ $1 } }
  case "ReduceMean":
    return try reduce(rows, context) { row in
      held(Double(row.reduce(Element(0)) { $0 &+ $1 }) / Double(row.count), Element.self)
    }
  case "ReduceProd": return try reduce(rows, context) { row in row.reduce(Element(1)) { $0 &* $1 } }
  case "ReduceL1":
    return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 &+ ($1 < 0 ? 0 &- $1 : $1) } }
  case "ReduceSumSquare":
    return try reduce(rows, context) { row in row.reduce(Element(0)) { $0 &+ $1 &* $1 } }
  case "ReduceL2":
    return try reduce(rows, context) { row in
      held(Double(row.reduce(Element(0)) { $0 &+ $1 &* $1 }).squareRoot(), Element.self)
    }
  case "ReduceLogSum":
    return try reduce(rows, context) { row in
      held(logarithm(Double(row.reduce(Element(0)) { $0 &+ $1 })), Element.self)
    }
  case "ReduceLogSumExp":
    return try reduce(rows, context) { row in
      held(logarithm(row.reduce(0.0) { $0 + exponential(Double($1)) }), Element.self)
    }
  default: throw context.failure(.unsupported, expected: "a known reduction", found: "\(context.node.op)")
  }
}

extension EvaluatorTable {
  static let reductions: [OperatorName: Evaluator] = {
    var table: [OperatorName: Evaluator] = [
      OperatorName("CumSum"): { [try evaluateCumulative($0)] },
      OperatorName("CumProd"): { [try evaluateCumulative($0)] },
      OperatorName("ArgMax"): { [try evaluateArgument($0)] },
      OperatorName("ArgMin"): { [try evaluateArgument($0)] },
      OperatorName("TopK"): { try evaluateTopK($0) },
    ]
    for name in ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"] {
      table[OperatorName("Reduce\(name)")] = { [try evaluateReduce($0)] }
    }
    return table
  }()
}
