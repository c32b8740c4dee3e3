import PollardBase
import TensorStorage

/// Other ways to walk the same memory.
extension Tensor {
  /// Whether elements lie row-major and without gaps.
  var isContiguous: Bool {
    var stride = 1
    for axis in extents.indices.reversed() where extents[axis] != 1 {
      if strides[axis] != stride { return extents.contains(0) }
      stride &*= extents[axis]
    }
    return true
  }

  func view(_ extents: [Int], strides: [Int], offset: Int? = nil) -> Tensor {
    Tensor(
      type: type, declared: declaredType, extents: extents, strides: strides, offset: offset ?? self.offset,
      buffer: buffer)
  }

  /// The same elements, said to be of a type that the memory can hold.
  func declared(_ type: ElementType) -> Tensor {
    Tensor(type: self.type, declared: type, extents: extents, strides: strides, offset: offset, buffer: buffer)
  }

  /// Axis `i` of the result is axis `permutation[i]`.
  func transposed(_ permutation: [Int]) -> Tensor {
    view(permutation.map { extents[$0] }, strides: permutation.map { strides[$0] })
  }

  /// Positions `start, start + step, …` of an axis.
  func sliced(axis: Int, start: Int, count: Int, step: Int = 1) -> Tensor {
    var extents = extents
    var strides = strides
    // Strides of a tensor without elements may be anything, and a step is never taken where there is one position.
    let shift = count > 0 ? start &* strides[axis] : 0
    let (stride, overflow) = strides[axis].multipliedReportingOverflow(by: step)
    extents[axis] = count
    strides[axis] = overflow ? 0 : stride
    return view(extents, strides: strides, offset: offset &+ shift)
  }

  /// Some positions of an axis, in the order given, as a tensor of its own.
  ///
  /// - Precondition: the axis exists and every position lies in it.
  public func selecting(_ positions: [Int], axis: Int) -> Tensor {
    precondition(extents.indices.contains(axis), "the axis exists")
    let extent = extents[axis]
    precondition(positions.allSatisfy { (0..<extent).contains($0) }, "positions lie in the axis")
    var chosen = extents
    chosen[axis] = positions.count
    let result = Tensor(
      type: type, extents: chosen, strides: rowMajorStrides(chosen), offset: 0,
      buffer: TensorBuffer(byteCount: chosen.reduce(type.computedByteCount, *)))
    for (place, position) in positions.enumerated() {
      copyElements(
        of: sliced(axis: axis, start: position, count: 1), to: result.sliced(axis: axis, start: place, count: 1), nil)
    }
    return result
  }

  /// The tensor with axes of extent 1 repeated, right-aligned; the caller has checked that it fits.
  func broadcast(to target: [Int]) -> Tensor {
    let lead = target.count - rank
    var strides = Array(repeating: 0, count: lead)
    for axis in 0..<rank { strides.append(extents[axis] == target[lead + axis] ? self.strides[axis] : 0) }
    return view(target, strides: strides)
  }

  /// The elements in row-major order under other extents, without a copy where the memory allows it.
  ///
  /// - Precondition: the number of elements is the same.
  func reshaped(_ target: [Int], _ memory: Memory? = nil) -> Tensor {
    if target == extents { return self }
    if let strides = stridesOfReshape(to: target) { return view(target, strides: strides) }
    return contiguous(memory).view(target, strides: rowMajorStrides(target), offset: 0)
  }

  /// Matches groups of axes with equal products; a group may change shape when it is dense in itself.
  private func stridesOfReshape(to target: [Int]) -> [Int]? {
    if isContiguous { return rowMajorStrides(target) }
    let old = extents.indices.filter { extents[$0] != 1 }
    var result = Array(repeating: 1, count: target.count)
    var place = 0
    var axis = 0
    while place < old.count {
      var end = place + 1
      var product = extents[old[place]]
      var newEnd = axis
      var newProduct = 1
      while true {
        if newProduct == product, newEnd > axis { break }
        if newProduct < product {
          guard newEnd < target.count else { return nil }
          newProduct *= target[newEnd]
          newEnd += 1
        } else {
          guard end < old.count else { return nil }
          product *= extents[old[end]]
          end += 1
        }
      }
      for inner in (place + 1)..<max(end, place + 1)
      where strides[old[inner - 1]] != strides[old[inner]] * extents[old[inner]] {
        return nil
      }
      var stride = strides[old[end - 1]]
      for new in (axis..<newEnd).reversed() {
        result[new] = stride
        stride *= target[new]
      }
      place = end
      axis = newEnd
    }
    return result
  }

  /// The tensor as rows of neighbouring elements at equal distances, or nil when the memory does not lie so.
  func rows(columnsFrom axis: Int) -> (rows: Int, columns: Int, stride: Int)? {
    let nest = LoopNest(Array(extents[axis...]), [Array(strides[axis...])])
    guard nest.extents.isEmpty || (nest.extents.count == 1 && nest.strides[0][0] == 1) else { return nil }
    let outer = LoopNest(Array(extents[..<axis]), [Array(strides[..<axis])])
    guard outer.extents.count <= 1 else { return nil }
    let columns = extents[axis...].reduce(1, *)
    return (extents[..<axis].reduce(1, *), columns, outer.strides[0].first ?? columns)
  }
}
