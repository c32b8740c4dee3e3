extension Tensor {
  /// Some rows of the elements in row-major order, and of these some columns, as a matrix of its own.
  ///
  /// - Parameters:
  ///   - rows: the rows in the order wanted; nil for all.
  ///   - width: elements of a row.
  ///   - columns: the places within a row in the order wanted; nil for all.
  /// - Precondition: rows and columns lie in the tensor.
  /// - Complexity: O(number of elements chosen), and of all where they do not lie row-major.
  package func selectingRows(_ rows: [Int]?, of width: Int, columns: [Int]?) -> Tensor {
    precondition(width > 0, "a row has elements")
    let count = elementCount / width
    let rows = rows ?? Array(0..<count)
    precondition(rows.allSatisfy { (0..<count).contains($0) }, "rows lie in the tensor")
    precondition(columns?.allSatisfy { (0..<width).contains($0) } ?? true, "columns lie in a row")
    let extents = [rows.count, columns?.count ?? width]
    let source = contiguous()
    let result = Tensor(
      type: type, declared: declaredType, extents: extents, strides: rowMajorStrides(extents), offset: 0,
      buffer: TensorBuffer(byteCount: extents.reduce(type.computedByteCount, *)))
    func copy<Bits: FixedWidthInteger & BitwiseCopyable>(_ type: Bits.Type) {
      let from = source.bits(type)
      var to = result.writtenBits(type)
      for row in rows {
        let start = from + row * width
        if let columns {
          for (place, column) in columns.enumerated() { to[place] = start[column] }
        } else {
          to.update(from: start, count: width)
        }
        to += extents[1]
      }
    }
    switch type.computedByteCount {
    case 1: copy(UInt8.self)
    case 2: copy(UInt16.self)
    case 4: copy(UInt32.self)
    default: copy(UInt64.self)
    }
    withExtendedLifetime(source.buffer) {}
    return result
  }
}
