extension Weight {
  /// The numbers of packed blocks.
  ///
  /// This weight holds bytes `[rows…, blocksPerRow, bytesPerBlock]`; the result is F32 `[rows…, blocksPerRow · elementsPerBlock]`. Keeping
  /// rows, or whole blocks of a row, keeps bytes: it is never decoded for that.
  public func dequantized(from format: BlockFormat) -> Weight {
    precondition(type == .u8 && shape.rank >= 2, "packed blocks are bytes with axes for blocks and for their bytes")
    precondition(shape[shape.rank - 1] == format.bytesPerBlock, "the last axis is the bytes of one block")
    var extents = Array(shape.extents.dropLast())
    extents[extents.count - 1] *= format.elementsPerBlock
    return Weight(type: .f32, shape: Shape(extents), .dequantized(self, format))
  }

  /// The numbers packed into blocks along the last axis: bytes `[rows…, blocksPerRow, bytesPerBlock]`.
  ///
  /// Blocks that were only decoded, cut between blocks and joined come out as the bytes they were. Everything else is rounded as the
  /// reference quantiser rounds it, which `requantizes` tells.
  public func quantized(to format: BlockFormat) -> Weight {
    precondition(type == .f32 && shape.rank >= 1, "numbers are packed from single precision")
    let elements = format.elementsPerBlock
    precondition(shape[shape.rank - 1] % elements == 0, "rows are whole blocks")
    if let packed = packedBlocks(format) { return packed }
    precondition(format.isWritable, "there is a quantiser for the format")
    var extents = shape.extents
    extents[extents.count - 1] /= elements
    return Weight(type: .u8, shape: Shape(extents + [format.bytesPerBlock]), .quantized(self, format))
  }

  /// The format of the stored blocks that this weight is made of, when all of it is; axes may be exchanged and cut.
  public var blockFormat: BlockFormat? {
    switch expression {
    case .dequantized(_, let format): format
    case .keep(let operand, _, _), .zeroing(let operand, _, _), .transpose(let operand, _), .reshape(let operand):
      operand.blockFormat
    case .concatenation(let parts, _):
      Set(parts.map(\.blockFormat)).count == 1 ? parts.first?.blockFormat ?? nil : nil
    case .stored, .literal, .zeros, .cast, .product, .sum, .quantized, .byteSwapped: nil
    }
  }

  /// How many consecutive positions of an axis can only be kept together, counted from 0, without decoding stored blocks; 1 where any can.
  public func blockGranularity(axis: Int) -> Int {
    switch expression {
    case .dequantized(_, let format): axis == shape.rank - 1 ? format.elementsPerBlock : 1
    case .transpose(let operand, let permutation): operand.blockGranularity(axis: permutation[axis])
    case .keep(let operand, let kept, _): kept == axis ? 1 : operand.blockGranularity(axis: axis)
    case .zeroing(let operand, _, _): operand.blockGranularity(axis: axis)
    case .concatenation(let parts, _): parts.map { $0.blockGranularity(axis: axis) }.max() ?? 1
    case .stored, .literal, .zeros, .cast, .product, .sum, .quantized, .byteSwapped, .reshape: 1
    }
  }

  /// Whether packing this weight rounds numbers anew, rather than copying stored blocks.
  public var requantizes: Bool {
    switch expression {
    case .quantized: true
    case .keep(let operand, _, _), .zeroing(let operand, _, _), .transpose(let operand, _), .reshape(let operand),
      .cast(let operand), .dequantized(let operand, _), .byteSwapped(let operand):
      operand.requantizes
    case .concatenation(let parts, _): parts.contains(where: \.requantizes)
    case .product(let a, let b), .sum(let a, let b): a.requantizes || b.requantizes
    case .stored, .literal, .zeros: false
    }
  }

  /// The stored blocks that decode to this weight.
  package func packedBlocks(_ format: BlockFormat) -> Weight? {
    switch expression {
    case .dequantized(let operand, format): operand
    case .concatenation(let parts, let axis):
      Self.joined(parts.map { $0.packedBlocks(format) }, axis: axis)
    default: nil
    }
  }

  static func joined(_ parts: [Weight?], axis: Int) -> Weight? {
    let present = parts.compactMap { $0 }
    return present.count == parts.count && !present.isEmpty ? .concatenated(present, axis: axis) : nil
  }

  /// The blocks in which given positions of the last axis lie, ascending, and the positions counted in these blocks alone.
  static func touchedBlocks(_ indices: [Int], _ format: BlockFormat) -> (blocks: [Int], places: [Int]) {
    let size = format.elementsPerBlock
    let blocks = Set(indices.map { $0 / size }).sorted()
    let order = Dictionary(uniqueKeysWithValues: blocks.enumerated().map { ($1, $0) })
    return (blocks, indices.map { (order[$0 / size] ?? 0) * size + $0 % size })
  }

  /// The blocks that given positions of the last axis fill exactly, in order; nil when they cut through one.
  static func wholeBlocks(_ indices: [Int], _ format: BlockFormat) -> [Int]? {
    let size = format.elementsPerBlock
    guard indices.count % size == 0 else { return nil }
    var blocks: [Int] = []
    blocks.reserveCapacity(indices.count / size)
    for start in stride(from: 0, to: indices.count, by: size) {
      guard indices[start] % size == 0 else { return nil }
      for offset in 1..<size where indices[start + offset] != indices[start] + offset { return nil }
      blocks.append(indices[start] / size)
    }
    return blocks
  }
}
