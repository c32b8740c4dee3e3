import CTensorKernels
import PollardBase

/// What a row is reduced to.
public enum RowReduction: Int32, CaseIterable, Sendable {
  /// Sum; of nothing +0.
  case sum = 0
  /// Sum divided by the count; of nothing NaN.
  case mean
  /// Largest element, NaN if one is NaN; of nothing -infinity.
  case maximum
  /// Smallest element, NaN if one is NaN; of nothing infinity.
  case minimum
  /// Sum of the squares; of nothing +0.
  case sumOfSquares
}

/// Operations over the last axis: 16 virtual lanes (element `i` goes to lane `i mod 16`), folded 8-4-2-1, one thread
/// per row. `x` and `y` may be the same memory.
extension Kernels {
  /// `y[r, c] = e^(x[r, c] - max_j x[r, j]) / Σ_j e^(x[r, j] - max x)`
  ///
  /// A row of only -infinity gives NaN.
  public static func softmax(_ x: MatrixView, into y: MutableMatrixView, pool: ThreadPool) {
    precondition(x.rows == y.rows && x.columns == y.columns, "operands have different shapes")
    pool.forEachRowRange(rows: x.rows, columns: x.columns, grain: 4096) {
      pollard_softmax_f32(
        $0.count, x.columns, x.row($0.lowerBound), x.rowStride, y.row($0.lowerBound), y.rowStride)
    }
  }

  /// `y[r, c] = (x[r, c] - mean) / √(variance + epsilon) · scale[c] + bias[c]`
  ///
  /// Two passes: the mean, then the mean of the squared deviations from it.
  ///
  /// - x: `[R, C]`. scale, bias: `[C]` or nil.
  /// - Source: Ba et al. 2016, eq. 4; ONNX LayerNormalization-17.
  public static func layerNorm(
    _ x: MatrixView, scale: UnsafePointer<Float>?, bias: UnsafePointer<Float>?, epsilon: Float,
    into y: MutableMatrixView, pool: ThreadPool
  ) {
    precondition(x.rows == y.rows && x.columns == y.columns, "operands have different shapes")
    nonisolated(unsafe) let (scale, bias) = (scale, bias)
    pool.forEachRowRange(rows: x.rows, columns: x.columns, grain: 4096) {
      pollard_layer_norm_f32(
        $0.count, x.columns, x.row($0.lowerBound), x.rowStride, scale, bias, epsilon, y.row($0.lowerBound),
        y.rowStride)
    }
  }

  /// `y[r, c] = x[r, c] / √(mean_j(x[r, j]²) + epsilon) · scale[c]`
  ///
  /// - x: `[R, C]`. scale: `[C]` or nil.
  /// - Source: Zhang & Sennrich 2019, eq. 4; ONNX RMSNormalization-23.
  public static func rmsNorm(
    _ x: MatrixView, scale: UnsafePointer<Float>?, epsilon: Float, into y: MutableMatrixView, pool: ThreadPool
  ) {
    precondition(x.rows == y.rows && x.columns == y.columns, "operands have different shapes")
    nonisolated(unsafe) let scale = scale
    pool.forEachRowRange(rows: x.rows, columns: x.columns, grain: 4096) {
      pollard_rms_norm_f32(
        $0.count, x.columns, x.row($0.lowerBound), x.rowStride, scale, epsilon, y.row($0.lowerBound), y.rowStride)
    }
  }

  /// `y[r]` = the reduction of row `r`.
  ///
  /// - Precondition: `y` holds `x.rows` elements.
  public static func reduceRows(
    _ reduction: RowReduction, _ x: MatrixView, into y: UnsafeMutableBufferPointer<Float>, pool: ThreadPool
  ) {
    precondition(y.count >= x.rows, "the result is shorter than the number of rows")
    nonisolated(unsafe) let base = y.baseAddress
    pool.forEachRowRange(rows: x.rows, columns: x.columns, grain: 8192) { rows in
      pollard_reduce_rows_f32(
        reduction.rawValue, rows.count, x.columns, x.row(rows.lowerBound), x.rowStride,
        base.map { $0 + rows.lowerBound })
    }
  }

  /// Rotary position embedding: turns pairs of elements of each row by that row's angles.
  ///
  /// Of the first `2 · half` elements, pairs are `(i, i + half)`, or `(2i, 2i + 1)` when interleaved:
  /// `(a, b)` becomes `(a·cos - b·sin, b·cos + a·sin)`. Elements from `2 · half` on are copied.
  ///
  /// - x: `[R, C]`. cosines, sines: `[R, half]` (a row stride of 0 repeats one row of angles).
  /// - Source: Su et al. 2021, eq. 34; ONNX RotaryEmbedding-23.
  public static func rotary(
    _ x: MatrixView, cosines: MatrixView, sines: MatrixView, interleaved: Bool, into y: MutableMatrixView
  ) {
    precondition(x.rows == y.rows && x.columns == y.columns, "operands have different shapes")
    precondition(
      cosines.columns == sines.columns && cosines.rowStride == sines.rowStride, "angles have different shapes")
    precondition(2 * cosines.columns <= x.columns, "more angles than pairs")
    guard x.rows > 0, x.columns > 0 else { return }
    pollard_rotary_f32(
      x.rows, x.columns, cosines.columns, interleaved ? 1 : 0, x.base, x.rowStride, cosines.base, sines.base,
      cosines.rowStride, y.base, y.rowStride)
  }
}
