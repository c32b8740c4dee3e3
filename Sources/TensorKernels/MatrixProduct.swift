import CTensorKernels
import PollardBase

extension Kernels {
  /// `C[m, n] = activation(Σ_k A[m, k] · B[k, n] + bias[n])`
  ///
  /// Each sum starts at +0 and runs over ascending `k` with fused multiply-add in one accumulator; then the bias is
  /// added, then the activation applied.
  ///
  /// - a: `[M, K]`. b: `[K, N]`, packed. bias: `[N]` or nil. c: `[M, N]`, must not overlap `a`.
  /// - Complexity: `2·M·N·K` operations, spread over the pool by rows and columns of `c`.
  public static func matrixProduct(
    _ a: MatrixView, _ b: PackedMatrix, bias: UnsafePointer<Float>? = nil, activation: UnaryOperation = .copy,
    into c: MutableMatrixView, pool: ThreadPool
  ) {
    precondition(a.columns == b.depth, "inner extents differ")
    precondition(c.rows == a.rows && c.columns == b.columns, "the result has another shape")
    guard c.rows > 0, c.columns > 0 else { return }
    nonisolated(unsafe) let product = pollard_gemm(
      a: a.base, a_row_stride: a.rowStride, packed: UnsafeRawPointer(b.storage), bias: bias, c: c.base,
      c_row_stride: c.rowStride, columns: b.columns, depth: b.depth, activation: activation.rawValue,
      packed_type: b.encoding.rawValue)
    let (rowParts, panelParts) = division(rows: c.rows, panels: b.panelCount, depth: b.depth, threads: pool.threadCount)
    pool.forEach(rowParts * panelParts) { item in
      let rows = part(item / panelParts, of: rowParts, in: c.rows)
      let panels = part(item % panelParts, of: panelParts, in: b.panelCount)
      withUnsafePointer(to: product) {
        pollard_gemm_f32($0, rows.lowerBound, rows.upperBound, panels.lowerBound, panels.upperBound)
      }
    }
  }

  /// Parts of rows and of panels: enough to keep all threads busy, none too small to be worth handing out.
  private static func division(rows: Int, panels: Int, depth: Int, threads: Int) -> (rows: Int, panels: Int) {
    guard threads > 1 else { return (1, 1) }
    let blockRows = 144
    let worthwhile = max(1, rows * panels * max(depth, 1) / 8192)
    let rowParts = max(1, min(rows / blockRows, worthwhile))
    let panelLimit = rows <= 4 ? panels : max(1, panels / 4)
    let panelParts = max(1, min(panelLimit, 4 * threads / rowParts, worthwhile / rowParts))
    return (rowParts, panelParts)
  }
}
