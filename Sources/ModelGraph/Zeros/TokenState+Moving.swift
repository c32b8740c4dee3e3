/// Rules for operators that only move elements.
extension TokenState {
  /// The same elements in row-major order under another shape.
  ///
  /// Axes are grouped as the shapes' common refinement groups them; a group of which one position is held stays that way.
  func reshaped(_ target: [Int]) -> TokenState {
    guard let count = shape.product, count == target.product else { return joined(shape: target) }
    if count == 0 { return TokenState(shape: target, all: .zero) }
    var heldBefore = held
    var heldAfter: [Int] = []
    var i = 0
    var j = 0
    while i < shape.count || j < target.count {
      var a = 1
      var b = 1
      let from = i
      let to = j
      if i < shape.count { (a, i) = (shape[i], i + 1) }
      if j < target.count { (b, j) = (target[j], j + 1) }
      while a != b {
        if a < b, i < shape.count {
          (a, i) = (a * shape[i], i + 1)
        } else if j < target.count {
          (b, j) = (b * target[j], j + 1)
        } else {
          return joined(shape: target)
        }
      }
      // Trailing axes of extent 1 belong to the last group.
      if i == shape.count { while j < target.count, target[j] == 1 { j += 1 } }
      if j == target.count { while i < shape.count, shape[i] == 1 { i += 1 } }
      let isHeld = (from..<i).contains { held[$0] != 1 }
      for axis in from..<i { heldBefore[axis] = isHeld ? shape[axis] : 1 }
      for axis in to..<j { heldAfter.append(isHeld ? target[axis] : 1) }
    }
    let whole = holding(shape.indices.filter { heldBefore[$0] != held[$0] })
    guard whole.held == heldBefore else { return joined(shape: target) }
    return TokenState(shape: target, held: heldAfter, packed: whole.packed, constants: whole.packedConstants)
  }

  /// Axis `i` of the result is axis `order[i]`.
  func transposed(_ order: [Int]) -> TokenState {
    var strides = Array(repeating: 1, count: held.count)
    for axis in held.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * held[axis + 1] }
    let target = order.map { held[$0] }
    let steps = order.map { strides[$0] }
    var states: [ElementState] = []
    var constants: [Double] = []
    states.reserveCapacity(packed.count)
    constants.reserveCapacity(packed.count)
    BroadcastIndex(extents: target, strides: steps).forEach(packed.count) {
      states.append(packed[$0])
      constants.append(packedConstants[$0])
    }
    var result = TokenState(shape: order.map { shape[$0] }, held: target, packed: states, constants: constants)
    result.unitSumAxis = unitSumAxis.flatMap { order.firstIndex(of: $0) }
    return result
  }

  /// Positions taken from one axis, in any order.
  func selecting(_ positions: [Int], axis: Int) -> TokenState {
    var target = shape
    target[axis] = positions.count
    guard !target.contains(0), positions.allSatisfy((0..<shape[axis]).contains) else {
      return positions.isEmpty ? TokenState(shape: target, all: .zero) : joined(shape: target)
    }
    if held[axis] == 1 { return TokenState(shape: target, held: held, packed: packed, constants: packedConstants) }
    let inner = held[(axis + 1)...].reduce(1, *)
    let outer = held[..<axis].reduce(1, *)
    guard let count = [outer, positions.count, inner].product, count <= Self.limit else { return joined(shape: target) }
    var states: [ElementState] = []
    var constants: [Double] = []
    for row in 0..<outer {
      for position in positions {
        let start = (row * held[axis] + position) * inner
        states += packed[start..<start + inner]
        constants += packedConstants[start..<start + inner]
      }
    }
    var kept = held
    kept[axis] = positions.count
    return TokenState(shape: target, held: kept, packed: states, constants: constants)
  }

  /// Operands one after the other along an axis; nil when their other extents differ.
  static func concatenated(_ parts: [TokenState], axis: Int) -> TokenState? {
    guard let first = parts.first, first.shape.indices.contains(axis) else { return nil }
    var shape = first.shape
    shape[axis] = parts.reduce(0) { $0 + ($1.shape.indices.contains(axis) ? $1.shape[axis] : 0) }
    var held = Array(repeating: 1, count: shape.count)
    for part in parts {
      guard part.shape.count == shape.count,
        shape.indices.allSatisfy({ $0 == axis || part.shape[$0] == shape[$0] })
      else { return nil }
      for place in shape.indices where part.held[place] != 1 { held[place] = part.held[place] }
    }
    held[axis] = shape[axis]
    if shape.contains(0) { return TokenState(shape: shape, all: .zero) }
    guard let count = held.product, count <= limit else {
      let joint = parts.map { $0.join() }.reduce((ElementState.zero, 0.0)) { join($0, $1) }
      return TokenState(shape: shape, all: joint.0 == .constant ? .unknown : joint.0, number: 0)
    }
    let outer = held[..<axis].reduce(1, *)
    let inner = held[(axis + 1)...].reduce(1, *)
    let places = held.indices
    let whole = parts.map { part in part.holding(places.filter { held[$0] != 1 || $0 == axis }) }
    var states: [ElementState] = []
    var constants: [Double] = []
    for row in 0..<outer {
      for part in whole {
        let length = part.shape[axis] * inner
        guard (row + 1) * length <= part.packed.count else { return nil }
        states += part.packed[row * length..<(row + 1) * length]
        constants += part.packedConstants[row * length..<(row + 1) * length]
      }
    }
    return TokenState(shape: shape, held: held, packed: states, constants: constants)
  }

  /// Axes joined: what all positions along them have in common, in a tensor of the given extents.
  func joining(_ axes: Set<Int>, shape target: [Int]) -> TokenState {
    var outer = held
    for axis in axes where held.indices.contains(axis) { outer[axis] = 1 }
    guard let index = BroadcastIndex(from: outer, to: held) else { return joined(shape: target) }
    let count = outer.reduce(1, *)
    var results = [(ElementState, Double)?](repeating: nil, count: count)
    var place = 0
    index.forEach(packed.count) {
      let element = (packed[place], packedConstants[place])
      results[$0] = results[$0].map { Self.join($0, element) } ?? element
      place += 1
    }
    let elements = results.map { $0 ?? (.zero, 0) }
    let kept = held.indices.filter { !axes.contains($0) }.map { outer[$0] }
    let full = target.count == held.count ? outer : kept
    guard full.count == target.count else { return joined(shape: target) }
    return TokenState(shape: target, held: full, packed: elements.map(\.0), constants: elements.map(\.1))
  }
}

/// Maps an element of a broadcast result to the element of an operand, both in row-major order.
struct BroadcastIndex {
  private let extents: [Int]
  private let strides: [Int]

  /// Strides of an operand by axis of the result.
  init(extents: [Int], strides: [Int]) {
    self.extents = extents
    self.strides = strides
  }

  /// Nil when the operand does not broadcast to the result.
  init?(from operand: [Int], to result: [Int]) {
    guard operand.count <= result.count else { return nil }
    let padded = Array(repeating: 1, count: result.count - operand.count) + operand
    var strides = Array(repeating: 0, count: result.count)
    var stride = 1
    for axis in result.indices.reversed() {
      guard padded[axis] == result[axis] || padded[axis] == 1 else { return nil }
      strides[axis] = padded[axis] == 1 ? 0 : stride
      stride *= padded[axis]
    }
    extents = result
    self.strides = strides
  }

  /// The operand's element for a result's element.
  subscript(index: Int) -> Int {
    var rest = index
    var result = 0
    for axis in extents.indices.reversed() {
      result += rest % extents[axis] * strides[axis]
      rest /= extents[axis]
    }
    return result
  }

  /// The operand's element for each of the result's elements in order, of which there are `count`.
  func forEach(_ count: Int, _ body: (Int) -> Void) {
    var place = Array(repeating: 0, count: extents.count)
    var current = 0
    for _ in 0..<count {
      body(current)
      for axis in extents.indices.reversed() {
        place[axis] += 1
        current += strides[axis]
        if place[axis] < extents[axis] { break }
        current -= strides[axis] * extents[axis]
        place[axis] = 0
      }
    }
  }
}
