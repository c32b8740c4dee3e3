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
    repeat {
      let place = target.base + cursor.secondOffset
      if isWhole, stride == count {
        BlockCodec.encode(format, blocks, from: source, to: place)
      } else {
        BlockCodec.encode(format, blocks, from: source, to: packed)
        for block in 0..<blocks {
          (place + block * stride).copyMemory(
            from: packed + block * count + box.lower[last], byteCount: box.extents[last])
        }
      }
      source += blocks * size
    } while cursor.advance()
  }
}
