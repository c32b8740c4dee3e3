import CTensorKernels
import PollardBase

/// A function of one number, in float32 and in double. The result depends on the bits of the input only, and the bits of
/// the result on nothing else: no function calls the system's mathematical library.
///
/// Error bounds are in units of the last place (ULP) of the exact value, of float32 over all its numbers; of double, where
/// it differs, over dense random ones. `formats/accuracy.md` lists what was measured; the tests assert it.
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
  /// `e^x`, 1.05 ULP, of double 0.8. In float32, inputs below -87.33654 (results below 2^-126) give +0.
  case exponential
  /// Natural logarithm, 0.85 ULP.
  case logarithm
  /// Sine, 0.51 ULP, of double 0.85, for every finite angle.
  case sine
  /// Cosine, 0.51 ULP, of double 0.85, for every finite angle.
  case cosine
  /// Gauss error function, 1.1 ULP; `erf(±0) = ±0`.
  case errorFunction
  /// Hyperbolic tangent, 1.4 ULP, of double 2.5; `tanh(±0) = ±0`.
  case hyperbolicTangent
  /// `1 / (1 + e^-x)`, 0.51 ULP, of double 2.25.
  case sigmoid
  /// `max(x, 0)`; `relu(-0) = +0`, NaN stays NaN.
  case relu
  /// `x/2 · (1 + erf(x/√2))` (Hendrycks & Gimpel 2016), 0.56 ULP, of double 4.5.
  case geluExact
  /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³)))`, the same paper's approximation, 0.51 ULP, of double 2.75.
  case geluTanh
  /// `x / (1 + e^-x)`, also called swish, 0.51 ULP, of double 2.75.
  case silu
  /// `x / (1 + e^(-1.702·x))`, the same paper's other approximation, 0.51 ULP, of double 3.
  case quickGelu
  /// `log(1 + e^x)`, 0.51 ULP, of double 1.6.
  case softplus
  /// `x · tanh(log(1 + e^x))` (Misra 2019), 0.51 ULP, of double 4.
  case mish
  /// Tangent, 0.51 ULP, of double 2.25.
  case tangent
  /// Inverse sine, 0.51 ULP, of double 0.75.
  case arcsine
  /// Inverse cosine, 0.51 ULP, of double 0.75.
  case arccosine
  /// Inverse tangent, 0.51 ULP, of double 0.9.
  case arctangent
  /// Hyperbolic sine, 0.51 ULP, of double 2.1.
  case hyperbolicSine
  /// Hyperbolic cosine, 0.51 ULP, of double 1.25.
  case hyperbolicCosine
  /// Inverse hyperbolic sine, 0.51 ULP, of double 1.75.
  case inverseHyperbolicSine
  /// Inverse hyperbolic cosine, 0.51 ULP, of double 1.75.
  case inverseHyperbolicCosine
  /// Inverse hyperbolic tangent, 0.51 ULP, of double 1.75.
  case inverseHyperbolicTangent
  /// `e^x - 1`, 0.51 ULP, of double 1.25.
  case exponentialMinusOne
  /// `log(1 + x)`, 0.51 ULP, of double 0.9.
  case logarithmOfOnePlus
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
  /// `a^b`, 0.51 ULP, of double 1.25, special cases as in C99.
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

  /// `y[i] = operation(x[i])` in double precision. `x` and `y` may be the same memory.
  ///
  /// - Precondition: equal counts.
  public static func unary(
    _ operation: UnaryOperation, _ x: UnsafeBufferPointer<Double>, into y: UnsafeMutableBufferPointer<Double>,
    pool: ThreadPool
  ) {
    precondition(x.count == y.count, "operands have different lengths")
    nonisolated(unsafe) let (from, to) = (x.baseAddress, y.baseAddress)
    pool.forEachRowRange(rows: x.count, columns: 1, grain: 8192) { range in
      pollard_unary_f64(
        operation.rawValue, range.count, from.map { $0 + range.lowerBound }, to.map { $0 + range.lowerBound })
    }
  }

  /// The function of one double: the bits that the function of many gives.
  public static func unary(_ operation: UnaryOperation, _ x: Double) -> Double {
    var (x, y) = (x, 0.0)
    pollard_unary_f64(operation.rawValue, 1, &x, &y)
    return y
  }

  /// `x^y` in double precision, 1.25 ULP, special cases as in C99.
  public static func power(_ x: Double, _ y: Double) -> Double {
    var (x, y, z) = (x, y, 0.0)
    pollard_power_f64(1, &x, &y, &z)
    return z
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
