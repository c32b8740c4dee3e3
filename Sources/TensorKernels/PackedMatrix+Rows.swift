import CTensorKernels

extension PackedMatrix {
  /// Packs some rows, so that a large matrix stored inputs first can arrive in the order in which it lies in its file.
  ///
  /// - Parameters:
  ///   - range: rows of `B`, of any number.
  ///   - source: only those rows: `[range.count, columns]`.
  /// - Precondition: `source` holds all of the piece. Other ranges may be packed at the same time, this one not.
  public func pack(rows range: Range<Int>, from source: UnsafeRawBufferPointer, encoding: FloatEncoding) {
    let width = Self.panelColumns
    precondition(range.lowerBound >= 0 && range.upperBound <= depth, "the rows are outside of the matrix")
    precondition(
      columns == 0 || source.count / encoding.byteCount / columns >= range.count, "the source is smaller than the rows")
    guard let base = source.baseAddress, columns > 0 else { return }
    let size = encoding.byteCount
    for panel in 0..<panelCount {
      let used = min(width, columns - panel * width)
      for row in range {
        let target = storage + (panel * depth + row) * width
        let element = (row - range.lowerBound) * columns + panel * width
        pollard_convert_to_f32(encoding.rawValue, base + element * size, target, used)
        if used < width { (target + used).update(repeating: 0, count: width - used) }
      }
    }
  }
}
