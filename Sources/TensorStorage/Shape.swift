/// The extents of a tensor's axes, outermost first.
///
/// A shape made through `init(checking:of:)` is known to have an element count and a bit count that fit `Int`.
public struct Shape: Sendable, Hashable {
  /// The extent of each axis; all are zero or more.
  public let extents: [Int]

  /// A shape from extents that the program itself computed.
  public init(_ extents: [Int]) {
    precondition(extents.allSatisfy { $0 >= 0 }, "extents are never negative")
    self.extents = extents
  }

  /// A shape from extents that a file claims, or nil when the number of elements or bits overflows.
  ///
  /// Products are formed left to right and stop at the first overflow, so `[0, huge, huge]` is legal and `[huge, huge, 0]` is not,
  /// as in the reference safetensors reader.
  public init?(checking extents: [Int], of type: ElementType) {
    var count = 1
    for extent in extents {
      guard extent >= 0 else { return nil }
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      count = product
    }
    if count.multipliedReportingOverflow(by: type.bitCount).overflow { return nil }
    self.extents = extents
  }

  /// The number of axes.
  public var rank: Int { extents.count }

  /// The number of elements; 1 for a scalar.
  public var elementCount: Int { extents.reduce(1, *) }

  /// The extent of one axis.
  public subscript(axis: Int) -> Int { extents[axis] }

  /// The number of bytes that elements of a type take, or nil when they do not fill whole bytes.
  public func byteCount(of type: ElementType) -> Int? {
    let bits = elementCount * type.bitCount
    return bits % 8 == 0 ? bits / 8 : nil
  }
}

extension Shape: CustomStringConvertible, ExpressibleByArrayLiteral {
  /// The extents in brackets, as in `[768, 2304]`.
  public var description: String { "[" + extents.map(String.init).joined(separator: ", ") + "]" }

  /// A shape from a literal list of extents.
  public init(arrayLiteral elements: Int...) { self.init(elements) }
}
