/// A rectangular part of a tensor: for each axis where it begins and how many positions it has.
struct Box {
  var lower: [Int]
  var extents: [Int]

  var elementCount: Int { extents.reduce(1, *) }

  /// The fewest boxes that cover a range of elements in row-major order, in that order.
  ///
  /// There are at most two for each axis and one more.
  static func covering(_ elements: Range<Int>, of shape: Shape) -> [Box] {
    var boxes: [Box] = []
    if !elements.isEmpty { cover(elements, shape.extents, axis: 0, prefix: [], into: &boxes) }
    return boxes
  }

  private static func cover(
    _ elements: Range<Int>, _ extents: [Int], axis: Int, prefix: [Int], into boxes: inout [Box]
  ) {
    let rank = extents.count
    func append(from first: Int, count: Int) {
      boxes.append(
        Box(
          lower: prefix + [first] + Array(repeating: 0, count: rank - axis - 1),
          extents: prefix.map { _ in 1 } + [count] + extents[(axis + 1)...]))
    }
    if axis >= rank {
      boxes.append(Box(lower: prefix, extents: prefix.map { _ in 1 }))
      return
    }
    let slice = extents[(axis + 1)...].reduce(1, *)
    let first = elements.lowerBound / slice
    let head = elements.lowerBound - first * slice
    let last = elements.upperBound / slice
    let tail = elements.upperBound - last * slice
    if first == last {
      cover(head..<tail, extents, axis: axis + 1, prefix: prefix + [first], into: &boxes)
      return
    }
    if head > 0 { cover(head..<slice, extents, axis: axis + 1, prefix: prefix + [first], into: &boxes) }
    let whole = head > 0 ? first + 1 : first
    if last > whole { append(from: whole, count: last - whole) }
    if tail > 0 { cover(0..<tail, extents, axis: axis + 1, prefix: prefix + [last], into: &boxes) }
  }
}

/// Where the elements of a box go: the innermost axis is contiguous, the others have strides in bytes.
struct BoxTarget {
  var base: UnsafeMutableRawPointer
  var strides: [Int]

  /// A target that takes a box densely in row-major order.
  init(dense base: UnsafeMutableRawPointer, extents: [Int], size: Int) {
    self.base = base
    strides = denseStrides(extents, size: size)
  }

  init(base: UnsafeMutableRawPointer, strides: [Int]) {
    self.base = base
    self.strides = strides
  }

  /// The same target from a later position of an axis on.
  func advanced(axis: Int, by count: Int) -> BoxTarget {
    BoxTarget(base: base + strides[axis] * count, strides: strides)
  }

  /// Whether a box's elements follow each other without gaps.
  func isDense(_ extents: [Int], size: Int) -> Bool {
    var stride = size
    for axis in extents.indices.reversed() where extents[axis] != 1 {
      if strides[axis] != stride { return false }
      stride *= extents[axis]
    }
    return true
  }
}
