extension Weight {
  /// Reverses the bytes of each element of a box in place.
  func swapBytes(_ box: Box, _ target: BoxTarget) {
    let columns = box.extents.last ?? 1
    let outer = Array(box.extents.dropLast())
    var cursor = BlockCursor(extents: outer, first: outer.map { _ in 0 }, second: Array(target.strides.dropLast()))
    repeat {
      let row = target.base + cursor.secondOffset
      switch type.byteCount {
      case 2: Self.swap(UInt16.self, columns, row)
      case 4: Self.swap(UInt32.self, columns, row)
      case 8: Self.swap(UInt64.self, columns, row)
      default: Self.swap(columns, row, size: type.byteCount ?? 1)
      }
    } while cursor.advance()
  }

  private static func swap<Word: FixedWidthInteger>(
    _ word: Word.Type, _ count: Int, _ row: UnsafeMutableRawPointer
  ) {
    let words = row.assumingMemoryBound(to: word)
    for index in 0..<count { words[index] = words[index].byteSwapped }
  }

  private static func swap(_ count: Int, _ row: UnsafeMutableRawPointer, size: Int) {
    let bytes = UnsafeMutableRawBufferPointer(start: row, count: count * size)
    for start in stride(from: 0, to: bytes.count, by: size) { bytes[start..<start + size].reverse() }
  }
}
