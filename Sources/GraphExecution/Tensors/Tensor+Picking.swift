import PollardBase
import TensorStorage

/// Tensors made of another one's elements, at other places. Only the width of an element matters.
extension Tensor {
  /// For each axis, the position to take for each position of the result, or -1 for an element of `fill`.
  ///
  /// - Precondition: as many lists as axes, of positions that exist.
  func picking(_ positions: [[Int]], fill: Tensor? = nil, _ memory: Memory) throws -> Tensor {
    let result = try memory.tensor(type, positions.map(\.count), as: declaredType)
    if result.extents.contains(0) { return result }
    let places = positions.indices.map { axis in
      positions[axis].map { $0 < 0 ? Int.min : $0 * strides[axis] }
    }
    switch type.computedByteCount {
    case 1: pick(UInt8.self, places, fill, result, memory.pool)
    case 2: pick(UInt16.self, places, fill, result, memory.pool)
    case 4: pick(UInt32.self, places, fill, result, memory.pool)
    default: pick(UInt64.self, places, fill, result, memory.pool)
    }
    return result
  }

  private func pick<Bits: FixedWidthInteger & Sendable>(
    _ type: Bits.Type, _ places: [[Int]], _ fill: Tensor?, _ result: Tensor, _ pool: ThreadPool
  ) {
    nonisolated(unsafe) let from = bits(type)
    nonisolated(unsafe) let to = result.writtenBits(type)
    let filling = fill.map { $0.bits(type).pointee } ?? 0
    let inner = places.last ?? [0]
    let outer = result.extents.dropLast()
    forEachStep(outer.reduce(1, *), size: inner.count, pool) { row in
      var rest = row
      var start = 0
      for axis in outer.indices.reversed() {
        let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: outer[axis])
        let place = places[axis][remainder]
        if place == .min || start == .min { start = .min } else { start += place }
        rest = quotient
      }
      let target = to + row * inner.count
      for (index, place) in inner.enumerated() {
        target[index] = place == .min || start == .min ? filling : from[start + place]
      }
    }
    withExtendedLifetime((self, fill)) {}
  }

  /// The elements at some places of the memory, in elements from the first one, as a dense tensor.
  ///
  /// - Precondition: as many places as the extents say, all of them inside.
  func picking(offsets: [Int], extents: [Int], _ memory: Memory) throws -> Tensor {
    let result = try memory.tensor(type, extents, as: declaredType)
    func copy<Bits: FixedWidthInteger & Sendable>(_ type: Bits.Type) {
      let (from, to) = (bits(type), result.writtenBits(type))
      for (index, offset) in offsets.enumerated() { to[index] = from[offset] }
    }
    switch type.computedByteCount {
    case 1: copy(UInt8.self)
    case 2: copy(UInt16.self)
    case 4: copy(UInt32.self)
    default: copy(UInt64.self)
    }
    withExtendedLifetime(self) {}
    return result
  }

  /// A dense copy that its maker may write to.
  func copied(_ memory: Memory) throws -> Tensor {
    let result = try memory.tensor(type, extents, as: declaredType)
    copyElements(of: self, to: result, memory.pool)
    return result
  }
}

/// Every position of a box, row-major, with the position along each axis.
func forEachPosition(_ extents: [Int], _ body: (Int, [Int]) throws -> Void) rethrows {
  let count = extents.reduce(1, *)
  var place = Array(repeating: 0, count: extents.count)
  for index in 0..<count {
    try body(index, place)
    var axis = extents.count - 1
    while axis >= 0 {
      place[axis] += 1
      if place[axis] < extents[axis] { break }
      place[axis] = 0
      axis -= 1
    }
  }
}
