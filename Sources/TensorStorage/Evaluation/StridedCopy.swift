/// Byte distances between neighbours along each axis of a dense row-major block.
func denseStrides(_ extents: [Int], size: Int) -> [Int] {
  var strides = extents
  var stride = size
  for axis in extents.indices.reversed() {
    strides[axis] = stride
    stride *= extents[axis]
  }
  return strides
}

/// Copies a block of elements from one layout to another; strides are in bytes and may order the axes differently.
func copyBlock(
  extents: [Int], size: Int, from source: UnsafeRawPointer, strides sourceStrides: [Int],
  to destination: UnsafeMutableRawPointer, strides destinationStrides: [Int]
) {
  if extents.contains(0) { return }
  var axes = extents.indices.filter { extents[$0] != 1 }
  var chunk = size
  while let last = axes.last, sourceStrides[last] == chunk, destinationStrides[last] == chunk {
    chunk *= extents[last]
    axes.removeLast()
  }
  guard let fastDestination = axes.min(by: { destinationStrides[$0] < destinationStrides[$1] }),
    let fastSource = axes.min(by: { sourceStrides[$0] < sourceStrides[$1] })
  else {
    destination.copyMemory(from: source, byteCount: chunk)
    return
  }
  let isPermuted = chunk == size && fastSource != fastDestination && [1, 2, 4, 8].contains(size)
  if isPermuted {
    axes.removeAll { $0 == fastSource || $0 == fastDestination }
  }
  var cursor = BlockCursor(
    extents: axes.map { extents[$0] }, first: axes.map { sourceStrides[$0] },
    second: axes.map { destinationStrides[$0] })
  repeat {
    let from = source + cursor.firstOffset
    let to = destination + cursor.secondOffset
    if !isPermuted {
      to.copyMemory(from: from, byteCount: chunk)
      continue
    }
    let rows = extents[fastSource]
    let columns = extents[fastDestination]
    let strides = (
      sourceStrides[fastSource], sourceStrides[fastDestination], destinationStrides[fastSource],
      destinationStrides[fastDestination]
    )
    switch size {
    case 1: exchangeAxes(UInt8.self, rows, columns, from: from, to: to, strides)
    case 2: exchangeAxes(UInt16.self, rows, columns, from: from, to: to, strides)
    case 4: exchangeAxes(UInt32.self, rows, columns, from: from, to: to, strides)
    default: exchangeAxes(UInt64.self, rows, columns, from: from, to: to, strides)
    }
  } while cursor.advance()
}

/// Copies a matrix whose fast axis in the source is not the fast one in the destination, in blocks that fit the cache.
private func exchangeAxes<Element: FixedWidthInteger>(
  _ type: Element.Type, _ rows: Int, _ columns: Int, from source: UnsafeRawPointer,
  to destination: UnsafeMutableRawPointer,
  _ strides: (sourceRow: Int, sourceColumn: Int, destinationRow: Int, destinationColumn: Int)
) {
  let block = 32
  for rowStart in stride(from: 0, to: rows, by: block) {
    let rowEnd = min(rows, rowStart + block)
    for columnStart in stride(from: 0, to: columns, by: block) {
      let columnEnd = min(columns, columnStart + block)
      for row in rowStart..<rowEnd {
        var from = source + (row * strides.sourceRow + columnStart * strides.sourceColumn)
        var to = destination + (row * strides.destinationRow + columnStart * strides.destinationColumn)
        for _ in columnStart..<columnEnd {
          to.storeBytes(of: from.loadUnaligned(as: Element.self), as: Element.self)
          from += strides.sourceColumn
          to += strides.destinationColumn
        }
      }
    }
  }
}

/// Sets a block of bytes to zero; strides are in bytes.
func zeroBlock(extents: [Int], size: Int, at destination: UnsafeMutableRawPointer, strides: [Int]) {
  if extents.contains(0) { return }
  var axes = extents.indices.filter { extents[$0] != 1 }
  var chunk = size
  while let last = axes.last, strides[last] == chunk {
    chunk *= extents[last]
    axes.removeLast()
  }
  let none = axes.map { _ in 0 }
  var cursor = BlockCursor(extents: axes.map { extents[$0] }, first: none, second: axes.map { strides[$0] })
  repeat {
    (destination + cursor.secondOffset).initializeMemory(as: UInt8.self, repeating: 0, count: chunk)
  } while cursor.advance()
}

/// Walks the positions of a block in row-major order and keeps two byte offsets along.
struct BlockCursor {
  private(set) var position: [Int]
  private(set) var firstOffset = 0
  private(set) var secondOffset = 0
  private let extents: [Int]
  private let first: [Int]
  private let second: [Int]

  /// A cursor at the origin; all extents are positive.
  init(extents: [Int], first: [Int], second: [Int]) {
    self.extents = extents
    self.first = first
    self.second = second
    position = extents.map { _ in 0 }
  }

  /// Steps to the next position; false after the last one.
  mutating func advance() -> Bool {
    var axis = extents.count - 1
    while axis >= 0 {
      position[axis] += 1
      firstOffset += first[axis]
      secondOffset += second[axis]
      if position[axis] < extents[axis] { return true }
      firstOffset -= first[axis] * extents[axis]
      secondOffset -= second[axis] * extents[axis]
      position[axis] = 0
      axis -= 1
    }
    return false
  }
}

/// The bytes of a dense tensor with its axes in another order.
func permutedBytes(_ bytes: [UInt8], of shape: Shape, permutation: [Int], size: Int) -> [UInt8] {
  if bytes.isEmpty { return bytes }
  let extents = permutation.map { shape[$0] }
  let strides = denseStrides(shape.extents, size: size)
  return [UInt8](unsafeUninitializedCapacity: bytes.count) { buffer, count in
    bytes.withUnsafeBytes { source in
      if let from = source.baseAddress, let to = UnsafeMutableRawPointer(buffer.baseAddress) {
        copyBlock(
          extents: extents, size: size, from: from, strides: permutation.map { strides[$0] }, to: to,
          strides: denseStrides(extents, size: size))
      }
    }
    count = bytes.count
  }
}
