/// Gathers, for the rows and columns of a matrix as it is stored, the largest magnitude's bits.
///
/// The bits of a floating-point number without its sign order as the magnitude does: the largest is zero iff all elements
/// are zeros, and reaches the exponent of all ones iff one of them is not finite. So one maximum answers both questions.
struct MatrixScan<Bits: FixedWidthInteger & SignedInteger & Sendable>: Sendable {
  private(set) var rows: [Bits]
  /// The same over the active columns only, when a list of them is given.
  private(set) var rowsOverActiveColumns: [Bits]
  private(set) var columns: [Bits]
  private(set) var columnsOverInactiveRows: [Bits]
  private let activeRows: [Bool]?
  private let activeColumns: [Bits]?

  init(rows rowCount: Int, columns columnCount: Int, activeRows: [Bool]?, activeColumns: [Bool]?) {
    rows = Array(repeating: 0, count: rowCount)
    columns = Array(repeating: 0, count: columnCount)
    rowsOverActiveColumns = activeColumns == nil ? [] : rows
    columnsOverInactiveRows = activeRows == nil ? [] : columns
    self.activeRows = activeRows
    self.activeColumns = activeColumns.map { $0.map { $0 ? Bits.max : 0 } }
  }

  /// Takes rows from `first` on, dense in a buffer.
  mutating func add(rows data: UnsafeRawBufferPointer, first: Int) {
    guard let base = data.baseAddress, !columns.isEmpty else { return }
    let width = columns.count * MemoryLayout<Bits>.size
    for index in 0..<data.count / width {
      let row = base + index * width
      let isActive = activeRows?[first + index] ?? true
      rows[first + index] =
        if isActive { Self.scan(row, into: &columns) } else { Self.scan(row, into: &columnsOverInactiveRows) }
      if let activeColumns { rowsOverActiveColumns[first + index] = Self.maximum(row, under: activeColumns) }
    }
  }

  /// Takes what another scan saw of the same matrix.
  mutating func merge(_ other: Self) {
    Self.merge(&rows, other.rows)
    Self.merge(&rowsOverActiveColumns, other.rowsOverActiveColumns)
    Self.merge(&columns, other.columns)
    Self.merge(&columnsOverInactiveRows, other.columnsOverInactiveRows)
  }

  private static func merge(_ mine: inout [Bits], _ other: [Bits]) {
    for index in mine.indices { mine[index] = max(mine[index], other[index]) }
  }

  private static func scan(_ row: UnsafeRawPointer, into columns: inout [Bits]) -> Bits {
    columns.withUnsafeMutableBufferPointer { columns in
      var largest: Bits = 0
      for index in columns.indices {
        let bits = row.loadUnaligned(fromByteOffset: index &* MemoryLayout<Bits>.size, as: Bits.self) & Bits.max
        columns[index] = max(columns[index], bits)
        largest = max(largest, bits)
      }
      return largest
    }
  }

  private static func maximum(_ row: UnsafeRawPointer, under mask: [Bits]) -> Bits {
    mask.withUnsafeBufferPointer { mask in
      var largest: Bits = 0
      for index in mask.indices {
        let bits = row.loadUnaligned(fromByteOffset: index &* MemoryLayout<Bits>.size, as: Bits.self)
        largest = max(largest, bits & mask[index])
      }
      return largest
    }
  }
}
