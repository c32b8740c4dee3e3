extension Weight {
  /// The slices with given indices along an axis, in the given order.
  ///
  /// Elements that pack several into a byte can be kept along axis 0 only, when its slices fill whole bytes.
  ///
  /// - Complexity: O(number of indices · depth of the expression).
  public func keeping(_ indices: [Int], axis: Int) -> Weight {
    precondition(axis >= 0 && axis < shape.rank, "the axis exists")
    let extent = shape[axis]
    precondition(indices.allSatisfy { $0 >= 0 && $0 < extent }, "kept indices lie inside the axis")
    if IndexSelection.isEverything(indices, of: extent) { return self }
    let result = shape.replacing(axis: axis, with: indices.count)
    switch expression {
    case .stored(let tensor, var kept):
      precondition(
        type.byteCount != nil || (axis == 0 && (shape.elementCount / max(1, extent)) * type.bitCount % 8 == 0),
        "packed elements are kept in whole bytes")
      let composed = kept[axis].map { outer in indices.map { outer.indices[$0] } } ?? indices
      kept[axis] = IndexSelection.isEverything(composed, of: tensor.shape[axis]) ? nil : IndexSelection(composed)
      return Weight(type: type, shape: result, .stored(tensor, kept: kept))
    case .literal(let bytes):
      return Weight(type: type, shape: result, .literal(keepBytes(bytes, indices: indices, axis: axis)))
    case .zeros:
      return .zeros(type: type, shape: result)
    case .keep(let operand, let innerAxis, let selection):
      if innerAxis == axis { return operand.keeping(indices.map { selection.indices[$0] }, axis: axis) }
      let kept = operand.keeping(indices, axis: axis)
      if case .keep = kept.expression {
        return Weight(type: type, shape: result, .keep(kept, axis: innerAxis, selection))
      }
      return kept.keeping(selection.indices, axis: innerAxis)
    case .zeroing(let operand, let zeroedAxis, let positions):
      let kept = operand.keeping(indices, axis: axis)
      if zeroedAxis != axis { return kept.zeroing(positions.indices, axis: zeroedAxis) }
      let zeroed = Set(positions.indices)
      return kept.zeroing(indices.indices.filter { zeroed.contains(indices[$0]) }, axis: axis)
    case .transpose(let operand, let permutation):
      return operand.keeping(indices, axis: permutation[axis]).transposed(permutation)
    case .reshape(let operand):
      if let factors = ReshapedSelection(indices, axis: axis, of: shape, reshapedFrom: operand.shape) {
        var kept = operand
        for (sourceAxis, list) in factors.lists { kept = kept.keeping(list, axis: sourceAxis) }
        return kept.reshaped(result)
      }
      return Weight(type: type, shape: result, .keep(self, axis: axis, IndexSelection(indices)))
    case .concatenation(let parts, let joinedAxis):
      if joinedAxis != axis { return .concatenated(parts.map { $0.keeping(indices, axis: axis) }, axis: joinedAxis) }
      return .concatenated(splitting(indices, over: parts, axis: axis), axis: axis)
    case .cast(let operand):
      return operand.keeping(indices, axis: axis).cast(to: type)
    case .product(let operand, let factor):
      return operand.keeping(indices, axis: axis).multiplied(by: factor.keepingUnlessBroadcast(indices, axis, extent))
    case .sum(let operand, let term):
      return operand.keeping(indices, axis: axis).adding(term.keepingUnlessBroadcast(indices, axis, extent))
    case .dequantized(let operand, let format):
      if axis < shape.rank - 1 { return operand.keeping(indices, axis: axis).dequantized(from: format) }
      if let blocks = Self.wholeBlocks(indices, format) {
        return operand.keeping(blocks, axis: axis).dequantized(from: format)
      }
      // Blocks of which nothing is kept are not read.
      let (blocks, places) = Self.touchedBlocks(indices, format)
      let touched = operand.keeping(blocks, axis: axis).dequantized(from: format)
      return Weight(type: type, shape: result, .keep(touched, axis: axis, IndexSelection(places)))
    case .byteSwapped(let operand):
      return operand.keeping(indices, axis: axis).byteSwapped()
    case .quantized(let operand, let format):
      if axis < shape.rank - 2 { return operand.keeping(indices, axis: axis).quantized(to: format) }
      return Weight(type: type, shape: result, .keep(self, axis: axis, IndexSelection(indices)))
    }
  }

  /// The same tensor with the slices at given positions of an axis replaced by +0.
  ///
  /// - Complexity: O(extent of the axis · depth of the expression).
  public func zeroing(_ positions: [Int], axis: Int) -> Weight {
    precondition(axis >= 0 && axis < shape.rank, "the axis exists")
    precondition(positions.allSatisfy { $0 >= 0 && $0 < shape[axis] }, "zeroed positions lie inside the axis")
    precondition(type.byteCount != nil, "slices of packed elements cannot be zeroed")
    if positions.isEmpty { return self }
    let ascending = Set(positions).sorted()
    if ascending.count == shape[axis] { return .zeros(type: type, shape: shape) }
    switch expression {
    case .zeros:
      return self
    case .transpose(let operand, let permutation):
      return operand.zeroing(ascending, axis: permutation[axis]).transposed(permutation)
    case .cast(let operand) where operand.type.zeroBytesMeanZero && type.zeroBytesMeanZero:
      return operand.zeroing(ascending, axis: axis).cast(to: type)
    case .zeroing(let operand, let innerAxis, let inner):
      if innerAxis == axis { return operand.zeroing(inner.indices + ascending, axis: axis) }
      if innerAxis > axis {
        return operand.zeroing(ascending, axis: axis).zeroing(inner.indices, axis: innerAxis)
      }
    case .reshape(let operand):
      if let factors = ReshapedSelection(ascending, axis: axis, of: shape, reshapedFrom: operand.shape),
        let (sourceAxis, list) = factors.onlyRestriction
      {
        return operand.zeroing(list, axis: sourceAxis).reshaped(shape)
      }
    case .dequantized(let operand, let format):
      // A block of zero bytes holds zeros in every format.
      if axis < shape.rank - 1 { return operand.zeroing(ascending, axis: axis).dequantized(from: format) }
      if let blocks = Self.wholeBlocks(ascending, format) {
        return operand.zeroing(blocks, axis: axis).dequantized(from: format)
      }
    case .byteSwapped(let operand):
      return operand.zeroing(ascending, axis: axis).byteSwapped()
    case .stored, .literal, .keep, .concatenation, .cast, .product, .sum, .quantized:
      break
    }
    return Weight(type: type, shape: shape, .zeroing(self, axis: axis, IndexSelection(ascending)))
  }

  /// The operand of a broadcasting operation cut along with the other operand.
  private func keepingUnlessBroadcast(_ indices: [Int], _ axis: Int, _ extent: Int) -> Weight {
    shape[axis] == 1 ? self : keeping(indices, axis: axis)
  }

  private func keepBytes(_ bytes: [UInt8], indices: [Int], axis: Int) -> [UInt8] {
    let sliceBits = shape.extents[(axis + 1)...].reduce(type.bitCount, *)
    precondition(sliceBits % 8 == 0, "packed elements are kept in whole bytes")
    let slice = sliceBits / 8
    let outer = shape.extents[..<axis].reduce(1, *)
    var kept: [UInt8] = []
    kept.reserveCapacity(outer * indices.count * slice)
    for block in 0..<outer {
      for index in indices {
        let start = (block * shape[axis] + index) * slice
        kept.append(contentsOf: bytes[start..<start + slice])
      }
    }
    return kept
  }

  /// The parts of a concatenation that indices along its axis select, one for each stretch inside one part.
  private func splitting(_ indices: [Int], over parts: [Weight], axis: Int) -> [Weight] {
    var starts: [Int] = []
    var total = 0
    for part in parts {
      starts.append(total)
      total += part.shape[axis]
    }
    var pieces: [(part: Int, indices: [Int])] = []
    for index in indices {
      var low = 0
      var high = parts.count
      while high - low > 1 {
        let middle = (low + high) / 2
        if starts[middle] <= index { low = middle } else { high = middle }
      }
      if let last = pieces.last, last.part == low {
        pieces[pieces.count - 1].indices.append(index - starts[low])
      } else {
        pieces.append((low, [index - starts[low]]))
      }
    }
    if pieces.isEmpty { return [parts[0].keeping([], axis: axis)] }
    return pieces.map { parts[$0.part].keeping($0.indices, axis: axis) }
  }
}

extension Shape {
  /// The same shape with another extent of one axis.
  func replacing(axis: Int, with extent: Int) -> Shape {
    var extents = extents
    extents[axis] = extent
    return Shape(extents)
  }
}
