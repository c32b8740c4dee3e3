extension Weight {
  /// Tensors of one element type joined along an axis; all other extents are equal.
  ///
  /// Neighbours that are slices of one stored tensor become one slice, so the parts of a fused matrix join to the matrix.
  ///
  /// - Complexity: O(number of parts and kept indices).
  public static func concatenated(_ parts: [Weight], axis: Int) -> Weight {
    guard let first = parts.first else { preconditionFailure("a concatenation has a part") }
    precondition(axis >= 0 && axis < first.shape.rank, "the axis exists")
    for part in parts {
      precondition(part.type == first.type, "the parts of a concatenation have one element type")
      precondition(
        part.shape.replacing(axis: axis, with: 0) == first.shape.replacing(axis: axis, with: 0),
        "the parts of a concatenation differ along its axis only")
    }
    let shape = first.shape.replacing(axis: axis, with: parts.reduce(0) { $0 + $1.shape[axis] })
    var flat: [Weight] = []
    for part in parts where part.shape[axis] > 0 {
      if case .concatenation(let inner, axis: axis) = part.expression { flat += inner } else { flat.append(part) }
    }
    guard let lead = flat.first(where: { !$0.isZeros }) else { return .zeros(type: first.type, shape: shape) }
    if flat.count == 1 { return lead }
    precondition(
      first.type.byteCount != nil
        || (axis == 0 && flat.allSatisfy { ($0.shape.elementCount / $0.shape[0]) * first.type.bitCount % 8 == 0 }),
      "packed elements are joined in whole bytes")
    if let permutation = lead.outerPermutation,
      flat.allSatisfy({ $0.isZeros || $0.outerPermutation == permutation })
    {
      let undo = inverse(permutation)
      return concatenated(flat.map { $0.transposed(undo) }, axis: permutation[axis]).transposed(permutation)
    }
    if case .cast(let operand) = lead.expression, operand.type.zeroBytesMeanZero,
      flat.allSatisfy({ $0.isZeros || $0.isCast(from: operand.type) })
    {
      return concatenated(flat.map { $0.castOperand(of: operand.type) }, axis: axis).cast(to: first.type)
    }
    if case .byteSwapped = lead.expression, flat.allSatisfy({ $0.isZeros || $0.isByteSwapped }) {
      return concatenated(flat.map { $0.byteSwapped() }, axis: axis).byteSwapped()
    }
    if case .dequantized(_, let format) = lead.expression,
      let packed = joined(flat.map { $0.packedBlocks(format) }, axis: axis)
    {
      return packed.dequantized(from: format)
    }
    var merged: [Weight] = []
    for part in flat {
      if let joined = merged.last?.joined(with: part, axis: axis) {
        merged[merged.count - 1] = joined
      } else {
        merged.append(part)
      }
    }
    return merged.count == 1 ? merged[0] : Weight(type: first.type, shape: shape, .concatenation(merged, axis: axis))
  }

  /// The same tensor with zero slices appended until an axis has `count` of them.
  public func padded(axis: Int, to count: Int) -> Weight {
    precondition(axis >= 0 && axis < shape.rank, "the axis exists")
    precondition(count >= shape[axis], "padding never shortens an axis")
    if count == shape[axis] { return self }
    return .concatenated(
      [self, .zeros(type: type, shape: shape.replacing(axis: axis, with: count - shape[axis]))], axis: axis)
  }

  var isZeros: Bool { if case .zeros = expression { true } else { false } }

  private var isByteSwapped: Bool { if case .byteSwapped = expression { true } else { false } }

  private func isCast(from source: ElementType) -> Bool {
    if case .cast(let operand) = expression { operand.type == source } else { false }
  }

  private func castOperand(of source: ElementType) -> Weight {
    if case .cast(let operand) = expression { operand } else { .zeros(type: source, shape: shape) }
  }

  /// This weight and the next part of a concatenation as one leaf, where they are one.
  private func joined(with next: Weight, axis: Int) -> Weight? {
    let joint = shape.replacing(axis: axis, with: shape[axis] + next.shape[axis])
    switch (expression, next.expression) {
    case (.zeros, .zeros):
      return .zeros(type: type, shape: joint)
    case (.stored(let tensor, var kept), .stored(let other, let otherKept)) where tensor == other:
      for side in 0..<shape.rank where side != axis && kept[side] != otherKept[side] { return nil }
      let everything = Array(0..<tensor.shape[axis])
      let indices = (kept[axis]?.indices ?? everything) + (otherKept[axis]?.indices ?? everything)
      kept[axis] = IndexSelection.isEverything(indices, of: tensor.shape[axis]) ? nil : IndexSelection(indices)
      return Weight(type: type, shape: joint, .stored(tensor, kept: kept))
    default:
      return nil
    }
  }
}
