import PollardBase
import TensorStorage

/// What tensors that an operator keeps may take together: a quarter of the machine's memory.
struct KeptTensorBudget {
  private var byteCount = 0
  private var count = 0

  /// Counts a tensor.
  ///
  /// - Throws: `tooLarge` when it is one too many.
  mutating func take(_ tensor: Tensor) throws(GraphError) {
    let (bytes, overflow) = tensor.elementCount.multipliedReportingOverflow(by: tensor.type.computedByteCount)
    count += 1
    // A tensor's memory is at least a cache line, and there is its bookkeeping.
    let (sum, isOver) = byteCount.addingReportingOverflow(overflow || bytes > .max / 2 ? .max : max(bytes, 64) + 320)
    byteCount = sum
    guard !isOver, !overflow, byteCount <= Memory.limit / 4 else {
      throw GraphError(
        .tooLarge, expected: "at most \(Memory.limit / 4) bytes for what is kept",
        found: "\(count) tensors, the last \(tensor.type)\(tensor.extents)")
    }
  }
}

/// Tensors of one shape, which become positions of a new axis.
struct TensorStack {
  private(set) var parts: [Tensor] = []
  private var budget = KeptTensorBudget()

  /// Adds a position.
  ///
  /// - Throws: `typeMismatch` and `shapeMismatch` when it is unlike the first; `tooLarge` when all of them together would take more than
  ///   a quarter of the machine's memory.
  mutating func append(_ part: Tensor) throws(GraphError) {
    if let compound = part.compound {
      throw GraphError(.typeMismatch, expected: "a tensor as a position of a new axis", found: compound.phrase)
    }
    if let first = parts.first {
      guard part.declaredType == first.declaredType else {
        throw GraphError(
          .typeMismatch, expected: "\(first.declaredType) at each position", found: "\(part.declaredType)")
      }
      guard part.extents == first.extents else {
        throw GraphError(.shapeMismatch, expected: "\(first.extents) at each position", found: "\(part.extents)")
      }
    }
    try budget.take(part)
    parts.append(part)
  }

  /// The positions along a new axis.
  ///
  /// - Parameters:
  ///   - axis: the place of the axis in the result.
  ///   - count: positions of the result; those that nobody gave are zero, or empty strings.
  ///   - isReversed: whether the first position is the last of the axis.
  /// - Precondition: there is a position, and not more than `count`; the axis exists in the result.
  func tensor(axis: Int, count: Int? = nil, isReversed: Bool = false, _ memory: Memory) throws -> Tensor {
    let first = parts[0]
    let count = count ?? parts.count
    precondition(parts.count <= count && (0...first.rank).contains(axis), "positions have a place")
    var extents = first.extents
    extents.insert(count, at: axis)
    let result = try memory.tensor(first.type, extents, as: first.declaredType)
    if parts.count < count { result.fillWithZeros() }
    var strides = result.strides
    let step = strides.remove(at: axis)
    for (index, part) in parts.enumerated() {
      let place = isReversed ? count - 1 - index : index
      copyElements(
        of: part, to: result.view(part.extents, strides: strides, offset: result.offset + place * step), memory.pool)
    }
    return result
  }
}

extension Tensor {
  /// Makes each element of a tensor that is being made 0, false or empty.
  func fillWithZeros() {
    if type == .string {
      let empty = StringTable.number(of: [])
      for index in 0..<elementCount { written(Int64.self)[index] = empty }
    } else {
      buffer.base.initializeMemory(as: UInt8.self, repeating: 0, count: elementCount * type.computedByteCount)
    }
  }

  /// The tensor at a position of an axis, without the axis.
  func position(_ index: Int, of axis: Int) -> Tensor {
    var extents = extents
    var strides = strides
    extents.remove(at: axis)
    let step = strides.remove(at: axis)
    return view(extents, strides: strides, offset: offset + index * step)
  }
}
