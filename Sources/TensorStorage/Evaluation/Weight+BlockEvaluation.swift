import PollardBase

extension Weight {
  /// Unpacks the blocks that a box touches, a row at a time.
  func dequantize(
    _ operand: Weight, _ format: BlockFormat, _ box: Box, into target: BoxTarget, _ arena: ScratchArena
  ) throws(FormatError) {
    let last = box.extents.count - 1
    let size = format.elementsPerBlock
    let first = box.lower[last] / size
    let end = (box.lower[last] + box.extents[last] + size - 1) / size
    let blocks = end - first
    let skipped = box.lower[last] - first * size
    var packed = box
    packed.lower[last] = first
    packed.extents[last] = blocks
    packed.lower.append(0)
    packed.extents.append(format.bytesPerBlock)
    let bytes = arena.enter(byteCount: packed.elementCount)
    defer { arena.leave() }
    try operand.evaluate(packed, into: BoxTarget(dense: bytes, extents: packed.extents, size: 1), arena)
    let isWhole = skipped == 0 && box.extents[last] == blocks * size
    let row = arena.enter(byteCount: isWhole ? 0 : blocks * size * 4)
    defer { arena.leave() }
    let outer = Array(box.extents.dropLast())
    var cursor = BlockCursor(extents: outer, first: outer.map { _ in 0 }, second: Array(target.strides.dropLast()))
    var source = UnsafeRawPointer(bytes)
    repeat {
      let place = target.base + cursor.secondOffset
      if isWhole {
        BlockCodec.decode(format, blocks, from: source, to: place.assumingMemoryBound(to: Float.self))
      } else {
        BlockCodec.decode(format, blocks, from: source, to: row.assumingMemoryBound(to: Float.self))
        place.copyMemory(from: row + skipped * 4, byteCount: box.extents[last] * 4)
      }
      source += blocks * format.bytesPerBlock
    } while cursor.advance()
  }

  /// Takes single positions out of unpacked rows; every block is unpacked once, however many stretches of it are kept.
  func gather(
    _ selection: IndexSelection, from operand: Weight, _ box: Box, into target: BoxTarget, _ arena: ScratchArena
  ) throws(FormatError) {
    let last = box.extents.count - 1
    let runs = selection.runs(first: box.lower[last], count: box.extents[last])
    guard let first = runs.map(\.source).min(), let end = runs.map({ $0.source + $0.count }).max() else { return }
    let width = end - first
    // A few rows at a time, so that the unpacked ones stay in the cache.
    let rowAxis = max(0, last - 1)
    let step = last == 0 ? 1 : max(1, min(box.extents[rowAxis], (1 << 16) / width))
    var outer = Array(box.extents.dropLast())
    if last > 0 { outer[rowAxis] = (outer[rowAxis] + step - 1) / step }
    let count = box.extents[last]
    let isScattered = runs.count > count / 8
    let indices = isScattered ? Array(selection.indices[box.lower[last]..<box.lower[last] + count]) : []
    for place in 0..<outer.reduce(1, *) {
      var part = box
      part.lower[last] = first
      part.extents[last] = width
      var offset = 0
      var rest = place
      for axis in outer.indices.reversed() {
        let start = rest % outer[axis] * (axis == rowAxis ? step : 1)
        rest /= outer[axis]
        part.lower[axis] = box.lower[axis] + start
        part.extents[axis] = axis == rowAxis ? min(step, box.extents[axis] - start) : 1
        offset += start * target.strides[axis]
      }
      let rows = last == 0 ? 1 : part.extents[rowAxis]
      let scratch = arena.enter(byteCount: rows * width * 4)
      defer { arena.leave() }
      try operand.evaluate(part, into: BoxTarget(dense: scratch, extents: part.extents, size: 4), arena)
      for row in 0..<rows {
        let values = scratch + row * width * 4
        let results = target.base + offset + (last == 0 ? 0 : row * target.strides[rowAxis])
        if isScattered {
          let numbers = values.assumingMemoryBound(to: Float.self)
          let kept = results.assumingMemoryBound(to: Float.self)
          for place in 0..<count { kept[place] = numbers[indices[place] &- first] }
          continue
        }
        for run in runs {
          (results + (run.position - box.lower[last]) * 4).copyMemory(
            from: values + (run.source - first) * 4, byteCount: run.count * 4)
        }
      }
    }
  }

  /// Packs the blocks that a box of their bytes touches.
  func quantize(
    _ operand: Weight, _ format: BlockFormat, _ box: Box, into target: BoxTarget, _ arena: ScratchArena
  ) throws(FormatError) {
    let last = box.extents.count - 1
    let size = format.elementsPerBlock
    let blocks = box.extents[last - 1]
    var numbers = box
    numbers.lower.removeLast()
    numbers.extents.removeLast()
    numbers.lower[last - 1] *= size
    numbers.extents[last - 1] *= size
    let values = arena.enter(byteCount: numbers.elementCount * 4)
    defer { arena.leave() }
    try operand.evaluate(numbers, into: BoxTarget(dense: values, extents: numbers.extents, size: 4), arena)
    let count = format.bytesPerBlock
    let isWhole = box.extents[last] == count
    let packed = arena.enter(byteCount: blocks * count)
    defer { arena.leave() }
    let outer = Array(box.extents.dropLast(2))
    let stride = target.strides[last - 1]
    var cursor = BlockCursor(extents: outer, first: outer.map { _ in 0 }, second: Array(target.strides.dropLast(2)))
    var source = UnsafePointer(values.assumingMemoryBound(to: Float.self))
    var done = 0
    repeat {
      let place = target.base + cursor.secondOffset
      let isDirect = isWhole && stride == count
      if let bad = BlockCodec.encode(format, blocks, from: source, to: isDirect ? place : packed) {
        throw notFinite(UnsafeBufferPointer(start: source + bad * size, count: size), format, box, row: done)
      }
      if !isDirect {
        for block in 0..<blocks {
          (place + block * stride).copyMemory(
            from: packed + block * count + box.lower[last], byteCount: box.extents[last])
        }
      }
      source += blocks * size
      done += 1
    } while cursor.advance()
  }

  /// The refusal to pack a block; `row` counts the rows of the box.
  private func notFinite(
    _ values: UnsafeBufferPointer<Float>, _ format: BlockFormat, _ box: Box, row: Int
  ) -> FormatError {
    var rest = row
    var place: [Int] = []
    for axis in box.extents.indices.dropLast(2).reversed() {
      place.insert(box.lower[axis] + rest % box.extents[axis], at: 0)
      rest /= box.extents[axis]
    }
    let value = values.first { !$0.isFinite } ?? .nan
    let position = place.isEmpty ? "" : " in row \(place.map(String.init).joined(separator: ", "))"
    return FormatError(
      .notFinite, expected: "finite numbers to pack as \(format)", found: "\(value)\(position)",
      remedy: "write the tensor as F32, F16 or BF16")
  }
}
