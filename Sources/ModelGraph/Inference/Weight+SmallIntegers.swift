import PollardBase
import TensorStorage

extension Weight {
  /// The elements of a small integer or truth-value tensor.
  ///
  /// - Throws: `cannotRead` and others of the source file; `unexpectedType` for other element types.
  package func smallIntegers() throws(FormatError) -> [Int] {
    let widths: [ElementType: Int] = [.i64: 8, .i32: 4, .bool: 1, .u8: 1]
    guard let width = widths[type] else {
      throw FormatError(.unexpectedType, expected: "an integer type", found: "\(type)")
    }
    let content = try bytes()
    return (0..<shape.elementCount).map { index in
      let pattern = content[index * width..<(index + 1) * width].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      return width == 4 ? Int(Int32(truncatingIfNeeded: pattern)) : Int(truncatingIfNeeded: pattern)
    }
  }
}

extension DiagnosticCode where Domain == FormatDomain {
  /// A tensor has another element type than its use needs.
  public static let unexpectedType = Self("unexpectedType", "the element type does not fit the use")
}
