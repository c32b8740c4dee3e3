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
    if self.encoding != .float32 {
      packNarrow(rows: range, from: base, encoding: encoding)
      return
    }
    let storage = storage.assumingMemoryBound(to: Float.self)
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

  private func packNarrow(rows range: Range<Int>, from base: UnsafeRawPointer, encoding: FloatEncoding) {
    let width = Self.panelColumns
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { wide in
      guard let floats = wide.baseAddress else { return }
      floats.initialize(repeating: 0, count: width)
      for panel in 0..<panelCount {
        let used = min(width, columns - panel * width)
        if used < width { (floats + used).update(repeating: 0, count: width - used) }
        for row in range {
          let element = (row - range.lowerBound) * columns + panel * width
          pollard_convert_to_f32(encoding.rawValue, base + element * encoding.byteCount, floats, used)
          let target = storage + (panel * depth + row) * width * self.encoding.byteCount
          pollard_convert_from_f32(self.encoding.rawValue, floats, target, width)
        }
      }
    }
  }
}
