/// Indices along an axis of a reshaped tensor, as index lists for the axes of the tensor before the reshape.
///
/// Row-major extents before and after a reshape fall into smallest groups of equal products. A group with one axis before
/// (an axis that was split) takes any list; one with several before and one after (axes that were merged) takes a list
/// that is a product of lists, as all rows of some heads are.
struct ReshapedSelection {
  /// Lists by axis of the tensor before the reshape; axes that keep everything are left out.
  var lists: [(axis: Int, indices: [Int])] = []

  /// The one list, when a single axis is restricted: the form that positions to zero need.
  var onlyRestriction: (axis: Int, indices: [Int])? { lists.count == 1 ? lists[0] : nil }

  /// The lists, or nil when the selection is not a product over the axes before the reshape.
  init?(_ indices: [Int], axis: Int, of shape: Shape, reshapedFrom source: Shape) {
    guard !shape.extents.contains(0), let group = Self.group(of: axis, in: shape, reshapedFrom: source) else {
      return nil
    }
    let sourceAxes = group.source.filter { source[$0] != 1 }
    let outer = shape.extents[group.target.lowerBound..<axis].reduce(1, *)
    let inner = shape.extents[(axis + 1)..<group.target.upperBound].reduce(1, *)
    if sourceAxes.count <= 1 {
      guard let sourceAxis = sourceAxes.first ?? group.source.first else { return nil }
      var flat: [Int] = []
      flat.reserveCapacity(outer * inner * indices.count)
      for block in 0..<outer {
        for index in indices {
          let start = (block * shape[axis] + index) * inner
          flat.append(contentsOf: start..<start + inner)
        }
      }
      lists = [(sourceAxis, flat)]
      return
    }
    guard outer == 1, inner == 1 else { return nil }
    var coordinates = Array(repeating: [Int](), count: sourceAxes.count)
    var stride = shape[axis]
    for (slot, sourceAxis) in sourceAxes.enumerated() {
      stride /= source[sourceAxis]
      var seen = Set<Int>()
      for index in indices {
        let coordinate = index / stride % source[sourceAxis]
        if seen.insert(coordinate).inserted { coordinates[slot].append(coordinate) }
      }
    }
    var product = [0]
    for (slot, sourceAxis) in sourceAxes.enumerated() {
      guard product.count * coordinates[slot].count <= indices.count else { return nil }
      product = product.flatMap { prefix in coordinates[slot].map { prefix * source[sourceAxis] + $0 } }
    }
    guard product == indices else { return nil }
    for (slot, sourceAxis) in sourceAxes.enumerated()
    where !IndexSelection.isEverything(coordinates[slot], of: source[sourceAxis]) {
      lists.append((sourceAxis, coordinates[slot]))
    }
  }

  /// The smallest group of axes around `axis` whose extents have the same product before and after.
  private static func group(
    of axis: Int, in shape: Shape, reshapedFrom source: Shape
  ) -> (source: Range<Int>, target: Range<Int>)? {
    var sourceStart = 0
    var targetStart = 0
    while sourceStart < source.rank, targetStart < shape.rank {
      var sourceEnd = sourceStart + 1
      var targetEnd = targetStart + 1
      var before = source[sourceStart]
      var after = shape[targetStart]
      while before != after {
        if before < after {
          guard sourceEnd < source.rank else { return nil }
          before *= source[sourceEnd]
          sourceEnd += 1
        } else {
          guard targetEnd < shape.rank else { return nil }
          after *= shape[targetEnd]
          targetEnd += 1
        }
      }
      if axis < targetEnd { return (sourceStart..<sourceEnd, targetStart..<targetEnd) }
      sourceStart = sourceEnd
      targetStart = targetEnd
    }
    return nil
  }
}
