extension Weight {
  /// The same values in another element type, rounded to nearest, ties to even.
  ///
  /// Values beyond the target's range become infinities, or NaN where the type has none; NaN stays NaN. Towards integers
  /// values are cut off towards zero and held in range, NaN gives 0; towards `bool` everything but zero is true.
  /// Which pairs exist says `ElementType.canBeCast(to:)`.
  public func cast(to target: ElementType) -> Weight {
    if target == type { return self }
    precondition(type.canBeCast(to: target), "there is a conversion between the element types")
    switch expression {
    case .zeros where target.zeroBytesMeanZero && type.zeroBytesMeanZero:
      return .zeros(type: target, shape: shape)
    case .transpose(let operand, let permutation):
      return operand.cast(to: target).transposed(permutation)
    case .reshape(let operand):
      return operand.cast(to: target).reshaped(shape)
    // Positions kept inside packed blocks stay outside them, and so inside the cast.
    case .keep(let operand, let axis, let selection) where !operand.isOfBlocks:
      return operand.cast(to: target).keeping(selection.indices, axis: axis)
    case .cast(let operand) where operand.type.isEmbedded(in: type) && operand.type.canBeCast(to: target):
      return operand.cast(to: target)
    case .concatenation(let parts, let axis) where parts.contains(where: \.isExactWidening):
      return .concatenated(parts.map { $0.cast(to: target) }, axis: axis)
    // Products and sums of narrow types are formed in F32 anyway.
    case .product(let operand, let factor)
    where operand.isExactWidening(of: target) && target.isArithmetic && type == .f32:
      return operand.cast(to: target).multiplied(by: factor)
    case .sum(let operand, let term)
    where operand.isExactWidening(of: target) && target.isArithmetic && type == .f32:
      return operand.cast(to: target).adding(term)
    default:
      return Weight(type: target, shape: shape, .cast(self))
    }
  }

  /// The elementwise product with a factor of the same rank, whose extents equal this weight's or are 1.
  ///
  /// Both operands are converted to F32 (F64 when this weight is F64), multiplied there, and the product is rounded to
  /// this weight's type. A literal factor of ones changes nothing and disappears.
  public func multiplied(by factor: Weight) -> Weight {
    checkBroadcast(factor)
    if factor.isOnes { return self }
    if case .transpose(let operand, let permutation) = expression {
      return operand.multiplied(by: factor.transposed(inverse(permutation))).transposed(permutation)
    }
    return Weight(type: type, shape: shape, .product(self, factor))
  }

  /// The elementwise sum with a term of the same rank, whose extents equal this weight's or are 1.
  ///
  /// Formed and rounded as `multiplied(by:)` does it. A literal term and its negative, one after the other, disappear
  /// unrounded: formats that store a parameter with something added to it are read and written so.
  public func adding(_ term: Weight) -> Weight {
    checkBroadcast(term)
    if case .sum(let operand, let other) = expression, term.isLiteralNegative(of: other) { return operand }
    if case .transpose(let operand, let permutation) = expression {
      return operand.adding(term.transposed(inverse(permutation))).transposed(permutation)
    }
    return Weight(type: type, shape: shape, .sum(self, term))
  }

  private func checkBroadcast(_ other: Weight) {
    precondition(type.isArithmetic, "products and sums are formed in floating-point types of 8 bits or more")
    precondition(other.type.canBeCast(to: .f32), "the second operand is real")
    precondition(
      other.shape.rank == shape.rank && zip(other.shape.extents, shape.extents).allSatisfy { $0 == $1 || $0 == 1 },
      "the second operand has the first one's extents, or 1")
  }

  /// Whether this is packed or unpacked blocks, whole or cut.
  private var isOfBlocks: Bool {
    switch expression {
    case .dequantized, .quantized: true
    case .keep(let operand, _, _): operand.isOfBlocks
    default: false
    }
  }

  /// Whether this is a cast from a type all of whose values the new type has.
  fileprivate var isExactWidening: Bool {
    if case .cast(let operand) = expression { operand.type.isEmbedded(in: type) } else { false }
  }

  fileprivate func isExactWidening(of source: ElementType) -> Bool {
    if case .cast(let operand) = expression { operand.type == source && source.isEmbedded(in: type) } else { false }
  }

  /// Whether this and another are literals of one floating-point type that differ in the signs of all elements.
  private func isLiteralNegative(of other: Weight) -> Bool {
    guard case .literal(let bytes) = expression, case .literal(let opposite) = other.expression, type == other.type,
      shape == other.shape, let width = type.byteCount, [.f64, .f32, .f16, .bf16].contains(type)
    else { return false }
    return zip(bytes, opposite).enumerated().allSatisfy { position, pair in
      pair.0 == pair.1 ^ (position % width == width - 1 ? 0x80 : 0)
    }
  }

  private var isOnes: Bool {
    guard case .literal(let bytes) = expression else { return false }
    let one: [UInt8]
    switch type {
    case .f32: one = [0, 0, 0x80, 0x3F]
    case .bf16: one = [0x80, 0x3F]
    case .f16: one = [0, 0x3C]
    case .f64: one = [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]
    case .bool, .u8, .i8: one = [1]
    case .i64, .u64: one = [1, 0, 0, 0, 0, 0, 0, 0]
    case .i32, .u32: one = [1, 0, 0, 0]
    default: return false
    }
    for (position, byte) in bytes.enumerated() where byte != one[position % one.count] { return false }
    return true
  }
}
