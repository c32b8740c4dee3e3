import TensorKernels

/// The elements of a value that are compared, in the precision of the run.
enum ComparedNumbers {
  case single([Float])
  case double([Double])

  /// No elements.
  static let empty = ComparedNumbers.single([])

  var count: Int {
    switch self {
    case .single(let values): values.count
    case .double(let values): values.count
    }
  }

  /// Compares with numbers of the same precision, this being the reference; nil when there are more of one.
  func compared(with other: ComparedNumbers) -> BufferComparison? {
    guard count == other.count else { return nil }
    switch (self, other) {
    case (.single(let a), .single(let b)):
      return a.withUnsafeBufferPointer { x in
        b.withUnsafeBufferPointer { y in BufferComparison(reference: x, other: y) }
      }
    case (.double(let a), .double(let b)):
      return a.withUnsafeBufferPointer { x in
        b.withUnsafeBufferPointer { y in BufferComparison(reference: x, other: y) }
      }
    default: return count == 0 ? Self.empty.compared(with: .empty) : nil
    }
  }

  /// The place of the largest number of each row.
  func largest(inRowsOf width: Int) -> [Int] {
    switch self {
    case .single(let values): Self.largest(values, width)
    case .double(let values): Self.largest(values, width)
    }
  }

  private static func largest<Element: Comparable>(_ values: [Element], _ width: Int) -> [Int] {
    (0..<values.count / width).map { row in
      let range = row * width..<(row + 1) * width
      return (range.max { values[$0] < values[$1] } ?? range.lowerBound) - range.lowerBound
    }
  }
}
