import PollardBase
import Synchronization

/// Which rows and columns of a matrix hold anything but zero, and which hold something that is not finite.
public struct MatrixStructure: Sendable, Equatable {
  /// For each row whether any element is not zero. NaN and infinities are not zero; -0.0 is.
  public var rowNonzero: [Bool]
  /// For each column whether any element in an active row is not zero.
  public var columnNonzero: [Bool]
  /// For each row whether any element is NaN or infinite.
  public var rowNonfinite: [Bool]
  /// For each column whether any element, in whatever row, is NaN or infinite.
  public var columnNonfinite: [Bool]

  /// A structure from its four lists.
  public init(rowNonzero: [Bool], columnNonzero: [Bool], rowNonfinite: [Bool], columnNonfinite: [Bool]) {
    self.rowNonzero = rowNonzero
    self.columnNonzero = columnNonzero
    self.rowNonfinite = rowNonfinite
    self.columnNonfinite = columnNonfinite
  }
}

extension Weight {
  /// Reads a matrix once and tells which rows (axis 0) and columns (axis 1) are zero or not finite.
  ///
  /// `activeRows`, one flag for each row, restricts which rows count for `columnNonzero`; nil means all do.
  ///
  /// - Throws: as `read(elements:into:scratch:)`.
  /// - Complexity: O(elements); a transposed matrix is read in the order it is stored in.
  public func nonzeroStructure(activeRows: [Bool]? = nil, pool: ThreadPool) throws(FormatError) -> MatrixStructure {
    precondition(shape.rank == 2, "the structure of a matrix is asked for")
    precondition(activeRows.map { $0.count == shape[0] } ?? true, "there is one flag for each row")
    // An exact widening changes neither zeros nor what is finite: the stored numbers are looked at.
    let stored = cast(to: storedType)
    if storedType != type, stored.withoutOuterPermutation.sourceSlice != nil {
      return try stored.nonzeroStructure(activeRows: activeRows, pool: pool)
    }
    switch type {
    case .f32: return try structure(Int32.self, infinity: 0x7F80_0000, activeRows, pool)
    case .bf16: return try structure(Int16.self, infinity: 0x7F80, activeRows, pool)
    case .f16: return try structure(Int16.self, infinity: 0x7C00, activeRows, pool)
    case .f64: return try structure(Int64.self, infinity: 0x7FF0_0000_0000_0000, activeRows, pool)
    default: return try cast(to: .f32).nonzeroStructure(activeRows: activeRows, pool: pool)
    }
  }

  private func structure<Bits: FixedWidthInteger & SignedInteger & Sendable>(
    _ bits: Bits.Type, infinity: Bits, _ activeRows: [Bool]?, _ pool: ThreadPool
  ) throws(FormatError) -> MatrixStructure {
    let isTransposed = outerPermutation != nil
    let source = withoutOuterPermutation
    let scan: MatrixScan<Bits> = try source.scan(
      activeRows: isTransposed ? nil : activeRows, activeColumns: isTransposed ? activeRows : nil, pool)
    let everywhere = activeRows == nil
    if isTransposed {
      return MatrixStructure(
        rowNonzero: scan.columns.map { $0 > 0 },
        columnNonzero: (everywhere ? scan.rows : scan.rowsOverActiveColumns).map { $0 > 0 },
        rowNonfinite: scan.columns.map { $0 >= infinity }, columnNonfinite: scan.rows.map { $0 >= infinity })
    }
    let columns = everywhere ? scan.columns : zip(scan.columns, scan.columnsOverInactiveRows).map(max)
    return MatrixStructure(
      rowNonzero: scan.rows.map { $0 > 0 }, columnNonzero: scan.columns.map { $0 > 0 },
      rowNonfinite: scan.rows.map { $0 >= infinity }, columnNonfinite: columns.map { $0 >= infinity })
  }

  private func scan<Bits: FixedWidthInteger & SignedInteger & Sendable>(
    activeRows: [Bool]?, activeColumns: [Bool]?, _ pool: ThreadPool
  ) throws(FormatError) -> MatrixScan<Bits> {
    let rowCount = shape[0]
    let columnCount = shape[1]
    let empty = MatrixScan<Bits>(
      rows: rowCount, columns: columnCount, activeRows: activeRows, activeColumns: activeColumns)
    if rowCount == 0 || columnCount == 0 { return empty }
    let rowBytes = columnCount * MemoryLayout<Bits>.size
    let blockRows = min(rowCount, max(1, (512 << 10) / rowBytes))
    let blockCount = (rowCount + blockRows - 1) / blockRows
    let next = Atomic<Int>(0)
    let state = Mutex((scan: empty, failure: FormatError?.none))
    pool.forEach(min(pool.threadCount, blockCount)) { _ in
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: blockRows * rowBytes, alignment: 64)
      defer { buffer.deallocate() }
      var scratch = EvaluationScratch()
      var scan = empty
      while true {
        let first = next.wrappingAdd(1, ordering: .relaxed).oldValue * blockRows
        if first >= rowCount { break }
        let end = min(rowCount, first + blockRows)
        let block = UnsafeMutableRawBufferPointer(rebasing: buffer[..<((end - first) * rowBytes)])
        do throws(FormatError) {
          try read(elements: first * columnCount..<end * columnCount, into: block, scratch: &scratch)
        } catch {
          next.store(blockCount, ordering: .relaxed)
          state.withLock { if $0.failure == nil { $0.failure = error } }
          return
        }
        scan.add(rows: UnsafeRawBufferPointer(block), first: first)
      }
      state.withLock { [scan] in $0.scan.merge(scan) }
    }
    return try state.withLock { (state) throws(FormatError) in
      if let failure = state.failure { throw failure }
      return state.scan
    }
  }
}
