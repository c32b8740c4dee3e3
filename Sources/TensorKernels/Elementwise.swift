import CTensorKernels
import PollardBase

/// A function of one float32. The result depends on the bits of the input only.
///
/// Error bounds are in units of the last place (ULP) against the exact value, asserted by the tests.
public enum UnaryOperation: Int32, CaseIterable, Sendable {
  /// `x`
  case copy = 0
  /// `-x`
  case negate
  /// `|x|`
  case absolute
  /// `1 / x`, correctly rounded.
  case reciprocal
  /// `√x`, correctly rounded.
  case squareRoot
  /// The largest integer not above `x`.
  case floor
  /// The smallest integer not below `x`.
  case ceil
  /// The nearest integer, halves to even.
  case round
  /// -1, ±0 or 1; NaN stays NaN.
  case sign
  /// `e^x`, 1.01 ULP. Inputs below -87.33654 (results below 2^-126) give +0.
  case exponential
  /// Natural logarithm, 0.8 ULP.
  case logarithm
  /// Sine, 0.51 ULP for `|x| ≤ 2^30`; NaN above.
  case sine
  /// Cosine, 0.51 ULP for `|x| ≤ 2^30`; NaN above.
  case cosine
  /// Gauss error function, 1.05 ULP; `erf(±0) = ±0`.
  case errorFunction
  /// Hyperbolic tangent, 1.35 ULP; `tanh(±0) = ±0`.
  case hyperbolicTangent
  /// `1 / (1 + e^-x)`, 2.35 ULP down to -87; +0 below -88.8.
  case sigmoid
  /// `max(x, 0)`; `relu(-0) = +0`, NaN stays NaN.
  case relu
  /// `x/2 · (1 + erf(x/√2))` (Hendrycks & Gimpel 2016).
  case geluExact
  /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))`, the same paper's approximation.
  case geluTanh
  /// `x / (1 + e^-x)`, also called swish.
  case silu
  /// `x / (1 + e^(-1.702·x))`, the same paper's other approximation.
  case quickGelu
  /// `max(x, 0) + log(1 + e^-|x|)`
  case softplus
}

/// A function of two float32. The result depends on the bits of the inputs only.
public enum BinaryOperation: Int32, CaseIterable, Sendable {
  /// `a + b`
  case add = 0
  /// `a - b`
  case subtract
  /// `a · b`
  case multiply
  /// `a / b`
  case divide
  /// The larger, NaN if either is NaN.
  case maximum
  /// The smaller, NaN if either is NaN.
  case minimum
  /// `a^b`, 0.51 ULP, special cases as in C99.
  case power
}

/// One operand of a binary operation over `[rows, columns]`, possibly repeated along either axis.
public struct BroadcastOperand: @unchecked Sendable {
  let base: UnsafePointer<Float>?
  let rowStride: Int
  let columnStride: Int

  /// Every element its own: `[rows, columns]`.
  public static func matrix(_ view: MatrixView) -> BroadcastOperand {
    BroadcastOperand(base: view.base, rowStride: view.rowStride, columnStride: 1)
  }
  /// `[columns]`, the same for every row.
  public static func row(_ base: UnsafePointer<Float>) -> BroadcastOperand {
    BroadcastOperand(base: base, rowStride: 0, columnStride: 1)
  }
  /// `[rows]`, the same along each row.
  public static func column(_ base: UnsafePointer<Float>, stride: Int = 1) -> BroadcastOperand {
    BroadcastOperand(base: base, rowStride: stride, columnStride: 0)
  }
  /// One number for all.
  public static func scalar(_ base: UnsafePointer<Float>) -> BroadcastOperand {
    BroadcastOperand(base: base, rowStride: 0, columnStride: 0)
  }

  func from(row: Int) -> pollard_operand {
    pollard_operand(data: base.map { $0 + row * rowStride }, row_stride: rowStride, column_stride: columnStride)
  }
}

/// The numeric kernels over float32 memory.
///
/// All of them keep the order contract: results do not depend on the instruction set, the number of threads, the
/// place of an element in its buffer, or on terms that are exactly zero.
public enum Kernels {
  /// `y[r, c] = operation(x[r, c])`. `x` and `y` may be the same memory.
  public static func unary(_ operation: UnaryOperation, _ x: MatrixView, into y: MutableMatrixView, pool: ThreadPool) {
    precondition(x.rows == y.rows && x.columns == y.columns, "operands have different shapes")
    forEachSlab(y, pool: pool) { first, rows, columns, offset in
      pollard_unary_f32(
        operation.rawValue, rows, columns, x.row(first).map { $0 + offset }, x.rowStride,
        y.row(first).map { $0 + offset }, y.rowStride)
    }
  }

  /// `y[r, c] = operation(a[r, c], b[r, c])`. `y` may be the memory of an operand that is not repeated.
  public static func binary(
    _ operation: BinaryOperation, _ a: BroadcastOperand, _ b: BroadcastOperand, into y: MutableMatrixView,
    pool: ThreadPool
  ) {
    forEachSlab(y, pool: pool) { first, rows, columns, offset in
      var left = a.from(row: first), right = b.from(row: first)
      left.data = left.data.map { $0 + offset * a.columnStride }
      right.data = right.data.map { $0 + offset * b.columnStride }
      pollard_binary_f32(
        operation.rawValue, rows, columns, left, right, y.row(first).map { $0 + offset }, y.rowStride)
    }
  }

  /// Splits a matrix by rows, or a single row by columns.
  private static func forEachSlab(
    _ y: MutableMatrixView, pool: ThreadPool,
    _ body: @Sendable (_ firstRow: Int, _ rows: Int, _ columns: Int, _ columnOffset: Int) -> Void
  ) {
    guard y.rows > 0, y.columns > 0 else { return }
    if y.rows == 1 {
      pool.forEachRowRange(rows: y.columns, columns: 1, grain: 8192) { body(0, 1, $0.count, $0.lowerBound) }
    } else {
      pool.forEachRowRange(rows: y.rows, columns: y.columns, grain: 8192) {
        body($0.lowerBound, $0.count, y.columns, 0)
      }
    }
  }
}
