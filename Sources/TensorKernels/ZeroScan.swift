import CTensorKernels

/// Which rows and columns of a matrix hold anything but zero, and which hold NaN or infinity.
///
/// Filled block by block; `-0` counts as zero.
public struct ZeroScan: Sendable {
  /// Per row, 1 if an element is not zero.
  public private(set) var rowNonzero: [UInt8]
  /// Per column, 1 if an element is not zero.
  public private(set) var columnNonzero: [UInt8]
  /// Per row, 1 if an element is NaN or infinite.
  public private(set) var rowNonfinite: [UInt8]
  /// Per column, 1 if an element is NaN or infinite.
  public private(set) var columnNonfinite: [UInt8]

  /// Nothing seen yet of a matrix `[rows, columns]`.
  public init(rows: Int, columns: Int) {
    rowNonzero = Array(repeating: 0, count: rows)
    columnNonzero = Array(repeating: 0, count: columns)
    rowNonfinite = rowNonzero
    columnNonfinite = columnNonzero
  }

  /// Adds what the rows `rows` hold.
  ///
  /// - Parameters:
  ///   - data: those rows, one after the other; needs no alignment.
  ///   - selection: one byte per row of the matrix; rows whose byte is 0 are passed over. nil for all.
  /// - Precondition: `data` holds the rows; `rows` lies inside the matrix.
  /// - Complexity: one pass over the data, at the speed of memory.
  public mutating func add(
    rows: Range<Int>, from data: UnsafeRawBufferPointer, encoding: FloatEncoding, selection: [UInt8]? = nil
  ) {
    let columns = columnNonzero.count
    precondition(rows.lowerBound >= 0 && rows.upperBound <= rowNonzero.count, "the rows are outside of the matrix")
    precondition(
      columns == 0 || data.count / encoding.byteCount / columns >= rows.count, "the data is smaller than the rows")
    precondition(selection == nil || selection?.count == rowNonzero.count, "the selection has another length")
    guard !rows.isEmpty, columns > 0 else { return }
    let first = rows.lowerBound
    rowNonzero.withUnsafeMutableBufferPointer { rowNonzero in
      columnNonzero.withUnsafeMutableBufferPointer { columnNonzero in
        rowNonfinite.withUnsafeMutableBufferPointer { rowNonfinite in
          columnNonfinite.withUnsafeMutableBufferPointer { columnNonfinite in
            let flags = pollard_scan_flags(
              row_nonzero: rowNonzero.baseAddress.map { $0 + first }, column_nonzero: columnNonzero.baseAddress,
              row_nonfinite: rowNonfinite.baseAddress.map { $0 + first },
              column_nonfinite: columnNonfinite.baseAddress)
            func scan(_ selected: UnsafePointer<UInt8>?) {
              pollard_scan_block(
                encoding.rawValue, data.baseAddress, columns, rows.count, columns, selected.map { $0 + first }, flags)
            }
            if let selection {
              selection.withUnsafeBufferPointer { scan($0.baseAddress) }
            } else {
              scan(nil)
            }
          }
        }
      }
    }
  }

  /// Joins what another scan of the same matrix has seen.
  public mutating func merge(_ other: ZeroScan) {
    precondition(
      rowNonzero.count == other.rowNonzero.count && columnNonzero.count == other.columnNonzero.count,
      "the scans are of different matrices")
    for i in rowNonzero.indices {
      rowNonzero[i] |= other.rowNonzero[i]
      rowNonfinite[i] |= other.rowNonfinite[i]
    }
    for i in columnNonzero.indices {
      columnNonzero[i] |= other.columnNonzero[i]
      columnNonfinite[i] |= other.columnNonfinite[i]
    }
  }
}
