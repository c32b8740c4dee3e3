/// A float32 matrix `[rows, columns]` in someone else's memory, its columns contiguous.
///
/// Whoever makes a view keeps the memory alive, and free of other writers, while a kernel uses it.
public struct MatrixView: @unchecked Sendable {
  /// The first element; nil only when there are no elements.
  public let base: UnsafePointer<Float>?
  /// Number of rows.
  public let rows: Int
  /// Number of columns.
  public let columns: Int
  /// Elements from one row to the next; 0 repeats one row.
  public let rowStride: Int

  /// A view of memory that the caller answers for.
  public init(base: UnsafePointer<Float>?, rows: Int, columns: Int, rowStride: Int) {
    precondition(rows >= 0 && columns >= 0, "a matrix has no negative extent")
    precondition(base != nil || rows == 0 || columns == 0, "a matrix with elements needs memory")
    self.base = base
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
  }

  /// The whole of `buffer` as `[rows, columns]`, one row after the other.
  ///
  /// - Precondition: `buffer` holds at least `rows · columns` elements.
  public init(_ buffer: UnsafeBufferPointer<Float>, rows: Int, columns: Int) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    precondition(!overflow && buffer.count >= count, "the buffer is smaller than the matrix")
    self.init(base: buffer.baseAddress, rows: rows, columns: columns, rowStride: columns)
  }

  /// The whole of `buffer` as `[rows, columns]`, one row after the other.
  ///
  /// - Precondition: `buffer` holds at least `rows · columns` elements.
  public init(_ buffer: UnsafeMutableBufferPointer<Float>, rows: Int, columns: Int) {
    self.init(UnsafeBufferPointer(buffer), rows: rows, columns: columns)
  }

  func row(_ index: Int) -> UnsafePointer<Float>? { base.map { $0 + index * rowStride } }
}

/// A float32 matrix `[rows, columns]` to be written, in someone else's memory, its columns contiguous.
public struct MutableMatrixView: @unchecked Sendable {
  /// The first element; nil only when there are no elements.
  public let base: UnsafeMutablePointer<Float>?
  /// Number of rows.
  public let rows: Int
  /// Number of columns.
  public let columns: Int
  /// Elements from one row to the next.
  public let rowStride: Int

  /// A view of memory that the caller answers for.
  public init(base: UnsafeMutablePointer<Float>?, rows: Int, columns: Int, rowStride: Int) {
    precondition(rows >= 0 && columns >= 0, "a matrix has no negative extent")
    precondition(base != nil || rows == 0 || columns == 0, "a matrix with elements needs memory")
    self.base = base
    self.rows = rows
    self.columns = columns
    self.rowStride = rowStride
  }

  /// The whole of `buffer` as `[rows, columns]`, one row after the other.
  ///
  /// - Precondition: `buffer` holds at least `rows · columns` elements.
  public init(_ buffer: UnsafeMutableBufferPointer<Float>, rows: Int, columns: Int) {
    let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
    precondition(!overflow && buffer.count >= count, "the buffer is smaller than the matrix")
    self.init(base: buffer.baseAddress, rows: rows, columns: columns, rowStride: columns)
  }

  /// The same memory, to be read.
  public var reading: MatrixView {
    MatrixView(base: UnsafePointer(base), rows: rows, columns: columns, rowStride: rowStride)
  }

  func row(_ index: Int) -> UnsafeMutablePointer<Float>? { base.map { $0 + index * rowStride } }
}
