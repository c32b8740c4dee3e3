import PollardBase

// Evaluation goes from the root of a normal form to its leaves with boxes: each operation turns a box of its result into
// boxes of its operands. Elementwise operations get their operands in scratch; everything else hands its target on.
extension Weight {
  /// Evaluates elements that follow each other in row-major order.
  func evaluate(elements: Range<Int>, into base: UnsafeMutableRawPointer, _ arena: ScratchArena) throws(FormatError) {
    var target = base
    for box in Box.covering(elements, of: shape) {
      try evaluate(box, into: BoxTarget(dense: target, extents: box.extents, size: elementSize), arena)
      target += box.elementCount * elementSize
    }
  }

  private var elementSize: Int {
    guard let size = type.byteCount else { preconditionFailure("packed elements are evaluated as bytes") }
    return size
  }

  func evaluate(_ box: Box, into target: BoxTarget, _ arena: ScratchArena) throws(FormatError) {
    if box.extents.contains(0) { return }
    switch expression {
    case .stored(let tensor, let kept):
      try StoredBoxReader(tensor, kept: kept, box: box, size: elementSize, targetStrides: target.strides)
        .read(into: target, arena)
    case .literal(let bytes):
      copy(box, of: bytes, into: target)
    case .zeros:
      zeroBlock(extents: box.extents, size: elementSize, at: target.base, strides: target.strides)
    case .keep(let operand, let axis, let selection):
      if case .dequantized = operand.expression, axis == shape.rank - 1 {
        return try gather(selection, from: operand, box, into: target, arena)
      }
      for run in selection.runs(first: box.lower[axis], count: box.extents[axis]) {
        var part = box
        part.lower[axis] = run.source
        part.extents[axis] = run.count
        try operand.evaluate(part, into: target.advanced(axis: axis, by: run.position - box.lower[axis]), arena)
      }
    case .zeroing(let operand, let axis, let positions):
      try operand.evaluate(box, into: target, arena)
      zero(positions, axis: axis, box, target)
    case .transpose(let operand, let permutation):
      try transpose(operand, permutation, box, into: target, arena)
    case .reshape(let operand):
      try reshape(operand, box, into: target, arena)
    case .concatenation(let parts, let axis):
      var start = 0
      for part in parts {
        let first = max(start, box.lower[axis])
        let end = min(start + part.shape[axis], box.lower[axis] + box.extents[axis])
        if first < end {
          var inside = box
          inside.lower[axis] = first - start
          inside.extents[axis] = end - first
          try part.evaluate(inside, into: target.advanced(axis: axis, by: first - box.lower[axis]), arena)
        }
        start += part.shape[axis]
      }
    case .cast(let operand):
      let scratch = arena.enter(byteCount: box.elementCount * operand.elementSize)
      defer { arena.leave() }
      let dense = BoxTarget(dense: scratch, extents: box.extents, size: operand.elementSize)
      try operand.evaluate(box, into: dense, arena)
      convertRows(box.extents, from: dense, operand.type, to: target, type)
    case .product(let operand, let factor):
      try operand.evaluate(box, into: target, arena)
      try combine(with: factor, isProduct: true, box, target, arena)
    case .sum(let operand, let term):
      try operand.evaluate(box, into: target, arena)
      try combine(with: term, isProduct: false, box, target, arena)
    case .dequantized(let operand, let format):
      try dequantize(operand, format, box, into: target, arena)
    case .quantized(let operand, let format):
      try quantize(operand, format, box, into: target, arena)
    case .byteSwapped(let operand):
      try operand.evaluate(box, into: target, arena)
      swapBytes(box, target)
    }
  }

  private func copy(_ box: Box, of bytes: [UInt8], into target: BoxTarget) {
    let strides = denseStrides(shape.extents, size: elementSize)
    let start = zip(box.lower, strides).reduce(0) { $0 + $1.0 * $1.1 }
    bytes.withUnsafeBytes { source in
      guard let base = source.baseAddress else { return }
      copyBlock(
        extents: box.extents, size: elementSize, from: base + start, strides: strides, to: target.base,
        strides: target.strides)
    }
  }

  private func zero(_ positions: IndexSelection, axis: Int, _ box: Box, _ target: BoxTarget) {
    let lower = box.lower[axis]
    let upper = lower + box.extents[axis]
    let slices = positions.runs.compactMap { run -> Range<Int>? in
      let first = max(lower, run.source) - lower
      let end = min(upper, run.source + run.count) - lower
      return first < end ? first..<end : nil
    }
    let inner = Array(box.extents[(axis + 1)...])
    let innerStrides = Array(target.strides[(axis + 1)...])
    let stride = target.strides[axis]
    let isDense = BoxTarget(base: target.base, strides: innerStrides).isDense(inner, size: elementSize)
    let chunk = inner.reduce(elementSize, *)
    // Row by row, so that each row is still in the cache for all of its positions.
    let outer = Array(box.extents[..<axis])
    var cursor = BlockCursor(extents: outer, first: outer.map { _ in 0 }, second: Array(target.strides[..<axis]))
    repeat {
      let row = target.base + cursor.secondOffset
      for slice in slices {
        if isDense, stride == chunk || slice.count == 1 {
          let start = row + slice.lowerBound * stride
          start.initializeMemory(as: UInt8.self, repeating: 0, count: slice.count * chunk)
        } else {
          zeroBlock(
            extents: [slice.count] + inner, size: elementSize, at: row + slice.lowerBound * stride,
            strides: [stride] + innerStrides)
        }
      }
    } while cursor.advance()
  }

  private func transpose(
    _ operand: Weight, _ permutation: [Int], _ box: Box, into target: BoxTarget, _ arena: ScratchArena
  ) throws(FormatError) {
    var inner = box
    var targetStrides = target.strides
    for (axis, source) in permutation.enumerated() {
      inner.lower[source] = box.lower[axis]
      inner.extents[source] = box.extents[axis]
      targetStrides[source] = target.strides[axis]
    }
    let scratch = arena.enter(byteCount: inner.elementCount * elementSize)
    defer { arena.leave() }
    let dense = BoxTarget(dense: scratch, extents: inner.extents, size: elementSize)
    try operand.evaluate(inner, into: dense, arena)
    copyBlock(
      extents: inner.extents, size: elementSize, from: scratch, strides: dense.strides, to: target.base,
      strides: targetStrides)
  }

  private func reshape(
    _ operand: Weight, _ box: Box, into target: BoxTarget, _ arena: ScratchArena
  ) throws(FormatError) {
    // Stretches of the box that follow each other in the tensor and in the target are read in one go.
    let strides = denseStrides(shape.extents, size: 1)
    let start = zip(box.lower, strides).reduce(0) { $0 + $1.0 * $1.1 }
    var axes = box.extents.indices.filter { box.extents[$0] != 1 }
    var chunk = 1
    while let last = axes.last, strides[last] == chunk, target.strides[last] == chunk * elementSize {
      chunk *= box.extents[last]
      axes.removeLast()
    }
    var cursor = BlockCursor(
      extents: axes.map { box.extents[$0] }, first: axes.map { strides[$0] }, second: axes.map { target.strides[$0] })
    repeat {
      let first = start + cursor.firstOffset
      try operand.evaluate(elements: first..<first + chunk, into: target.base + cursor.secondOffset, arena)
    } while cursor.advance()
  }

  /// Multiplies or adds a broadcast operand in place.
  private func combine(
    with other: Weight, isProduct: Bool, _ box: Box, _ target: BoxTarget, _ arena: ScratchArena
  ) throws(FormatError) {
    let computed: ElementType = type == .f64 ? .f64 : .f32
    let otherType: Weight = other.type == computed ? other : other.cast(to: computed)
    var otherBox = box
    for axis in box.extents.indices where other.shape[axis] == 1 {
      otherBox.lower[axis] = 0
      otherBox.extents[axis] = 1
    }
    let size = otherType.elementSize
    let scratch = arena.enter(byteCount: otherBox.elementCount * size)
    defer { arena.leave() }
    let dense = BoxTarget(dense: scratch, extents: otherBox.extents, size: size)
    try otherType.evaluate(otherBox, into: dense, arena)
    let columns = box.extents.last ?? 1
    let row = arena.enter(byteCount: columns * size)
    defer { arena.leave() }
    let outer = Array(box.extents.dropLast())
    let steps = outer.indices.map { otherBox.extents[$0] == 1 ? 0 : dense.strides[$0] }
    let step = (otherBox.extents.last ?? 1) == 1 ? 0 : 1
    var cursor = BlockCursor(extents: outer, first: steps, second: Array(target.strides.dropLast()))
    repeat {
      let values = target.base + cursor.secondOffset
      ElementConversion.convert(columns, from: values, type, to: row, computed)
      let factors = scratch + cursor.firstOffset
      if computed == .f64 {
        combineRow(Double.self, columns, row, factors, step, isProduct)
      } else {
        combineRow(Float.self, columns, row, factors, step, isProduct)
      }
      ElementConversion.convert(columns, from: row, computed, to: values, type)
    } while cursor.advance()
  }

  private func combineRow<Real: BinaryFloatingPoint>(
    _ real: Real.Type, _ count: Int, _ row: UnsafeMutableRawPointer, _ other: UnsafeMutableRawPointer, _ step: Int,
    _ isProduct: Bool
  ) {
    let row = row.assumingMemoryBound(to: real)
    let other = other.assumingMemoryBound(to: real)
    if isProduct {
      for index in 0..<count { row[index] *= other[index &* step] }
    } else {
      for index in 0..<count { row[index] += other[index &* step] }
    }
  }

  private func convertRows(
    _ extents: [Int], from source: BoxTarget, _ sourceType: ElementType, to target: BoxTarget, _ targetType: ElementType
  ) {
    guard let size = targetType.byteCount else { return }
    if target.isDense(extents, size: size) {
      let count = extents.reduce(1, *)
      ElementConversion.convert(count, from: source.base, sourceType, to: target.base, targetType)
      return
    }
    let columns = extents.last ?? 1
    var cursor = BlockCursor(
      extents: Array(extents.dropLast()), first: Array(source.strides.dropLast()),
      second: Array(target.strides.dropLast()))
    repeat {
      ElementConversion.convert(
        columns, from: source.base + cursor.firstOffset, sourceType, to: target.base + cursor.secondOffset, targetType)
    } while cursor.advance()
  }
}
