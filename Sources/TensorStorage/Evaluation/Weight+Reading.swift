import PollardBase

extension Weight {
  /// Evaluates elements that follow each other in row-major order, into a buffer of exactly their size.
  ///
  /// Packed types (several elements to a byte) take ranges that begin and end on byte boundaries.
  ///
  /// - Throws: `truncated` or `cannotRead` when the file no longer gives the bytes it had when it was opened.
  /// - Complexity: O(elements read), plus what lies between them where gaps are too small to skip. Memory is bounded.
  public func read(
    elements: Range<Int>, into buffer: UnsafeMutableRawBufferPointer, scratch: inout EvaluationScratch
  ) throws(FormatError) {
    precondition(elements.lowerBound >= 0 && elements.upperBound <= shape.elementCount, "the elements exist")
    guard let size = type.byteCount else {
      let bits = elements.lowerBound * type.bitCount..<elements.upperBound * type.bitCount
      precondition(bits.lowerBound % 8 == 0 && bits.upperBound % 8 == 0, "packed elements are read in whole bytes")
      let bytes = bits.lowerBound / 8..<bits.upperBound / 8
      return try byteView.reshaped([byteCount]).read(elements: bytes, into: buffer, scratch: &scratch)
    }
    precondition(buffer.count == elements.count * size, "the buffer has the size of the elements")
    guard let base = buffer.baseAddress, !elements.isEmpty else { return }
    var start = elements.lowerBound
    let step = elementsPerPass
    while start < elements.upperBound {
      let end = min(elements.upperBound, passEnd(start + step))
      try evaluate(elements: start..<end, into: base + (start - elements.lowerBound) * size, scratch.arena)
      start = end
    }
  }

  /// Evaluates elements that follow each other in row-major order as single-precision numbers.
  ///
  /// Other types are converted as `cast(to:)` does it.
  ///
  /// - Throws: as `read(elements:into:scratch:)`.
  public func readFloats(
    elements: Range<Int>, into buffer: UnsafeMutableBufferPointer<Float>, scratch: inout EvaluationScratch
  ) throws(FormatError) {
    try cast(to: .f32).read(elements: elements, into: UnsafeMutableRawBufferPointer(buffer), scratch: &scratch)
  }

  /// All bytes of a small tensor, row-major and little-endian.
  ///
  /// - Throws: as `read(elements:into:scratch:)`.
  public func bytes() throws(FormatError) -> [UInt8] {
    if case .literal(let bytes) = expression { return bytes }
    var scratch = EvaluationScratch()
    var bytes = [UInt8](repeating: 0, count: byteCount)
    try Self.filling(&bytes) { (buffer) throws(FormatError) in
      try read(elements: 0..<shape.elementCount, into: UnsafeMutableRawBufferPointer(buffer), scratch: &scratch)
    }
    return bytes
  }

  /// All elements of a small tensor as single-precision numbers, row-major.
  ///
  /// - Throws: as `read(elements:into:scratch:)`.
  public func floats() throws(FormatError) -> [Float] {
    var scratch = EvaluationScratch()
    var values = [Float](repeating: 0, count: shape.elementCount)
    try Self.filling(&values) { (buffer) throws(FormatError) in
      try readFloats(elements: 0..<shape.elementCount, into: buffer, scratch: &scratch)
    }
    return values
  }

  /// All elements of a small tensor as double-precision numbers, row-major.
  ///
  /// - Throws: as `read(elements:into:scratch:)`.
  public func doubles() throws(FormatError) -> [Double] {
    guard type != .f64 else {
      var scratch = EvaluationScratch()
      var values = [Double](repeating: 0, count: shape.elementCount)
      try Self.filling(&values) { (buffer) throws(FormatError) in
        try read(elements: 0..<shape.elementCount, into: UnsafeMutableRawBufferPointer(buffer), scratch: &scratch)
      }
      return values
    }
    // Wider integers are rounded to single precision, as everywhere that floats are asked for.
    return try cast(to: .f32).floats().map { Double($0) }
  }

  private static func filling<Element>(
    _ array: inout [Element], _ body: (UnsafeMutableBufferPointer<Element>) throws(FormatError) -> Void
  ) throws(FormatError) {
    let result: Result<Void, FormatError> = array.withUnsafeMutableBufferPointer { buffer in
      do throws(FormatError) { return .success(try body(buffer)) } catch { return .failure(error) }
    }
    try result.get()
  }

  /// The number of elements evaluated at a time, so that intermediate results stay small.
  private var elementsPerPass: Int {
    switch evaluationDemand {
    case .nothing: Int.max / 2
    case .rows: 1 << 16
    case .blocks: (4 << 20) / max(4, type.bitCount / 8)
    }
  }

  /// The end of a pass that is to end near a position: between packed blocks, which are packed whole.
  private func passEnd(_ position: Int) -> Int {
    let grain = packingGrain
    return position >= Int.max / 4 ? position : max(grain, position / grain * grain)
  }

  /// The number of elements that are computed together: the bytes of a block where blocks are packed.
  var packingGrain: Int {
    switch expression {
    case .quantized(_, let format): format.bytesPerBlock
    case .reshape(let operand): operand.packingGrain
    case .concatenation(let parts, _): parts.map(\.packingGrain).max() ?? 1
    default: 1
    }
  }

  /// What intermediate results an expression needs.
  private enum EvaluationDemand: Int {
    /// None: elements go straight to their place.
    case nothing
    /// A stretch of elements before an elementwise step.
    case rows
    /// A block to be permuted; larger ones read longer stretches of the source.
    case blocks
  }

  private var evaluationDemand: EvaluationDemand {
    switch expression {
    case .stored, .literal, .zeros: return .nothing
    case .keep(let operand, _, _), .zeroing(let operand, _, _), .reshape(let operand):
      return operand.evaluationDemand
    case .transpose: return .blocks
    case .dequantized(let operand, _), .quantized(let operand, _):
      return operand.evaluationDemand == .blocks ? .blocks : .rows
    case .byteSwapped(let operand): return operand.evaluationDemand
    case .cast(let operand): return operand.evaluationDemand == .blocks ? .blocks : .rows
    case .product(let a, let b), .sum(let a, let b):
      return a.evaluationDemand == .blocks || b.evaluationDemand == .blocks ? .blocks : .rows
    case .concatenation(let parts, _):
      return parts.map(\.evaluationDemand).max { $0.rawValue < $1.rawValue } ?? .nothing
    }
  }

  /// The bytes of packed elements as a tensor of bytes, with the first axis alone where slices of it fill whole bytes.
  private var byteView: Weight {
    switch expression {
    case .stored(let tensor, let kept):
      guard let rows = tensor.shape.extents.first, rows > 0, let selection = kept.first, let selection else {
        return .stored(tensor.file, byteOffset: tensor.byteOffset, type: .u8, shape: [byteCount])
      }
      let total = tensor.shape.elementCount * tensor.type.bitCount / 8
      return Weight.stored(tensor.file, byteOffset: tensor.byteOffset, type: .u8, shape: [rows, total / rows])
        .keeping(selection.indices, axis: 0).reshaped([byteCount])
    case .literal(let bytes): return .literal(bytes: bytes, type: .u8, shape: [byteCount])
    case .zeros: return .zeros(type: .u8, shape: [byteCount])
    case .reshape(let operand): return operand.byteView
    case .concatenation(let parts, 0): return .concatenated(parts.map(\.byteView), axis: 0)
    case .keep(let operand, 0, let selection):
      let rows = operand.shape[0]
      return operand.byteView.reshaped([rows, operand.byteCount / max(1, rows)]).keeping(selection.indices, axis: 0)
        .reshaped([byteCount])
    case .keep, .zeroing, .transpose, .concatenation, .cast, .product, .sum, .dequantized, .quantized, .byteSwapped:
      preconditionFailure("packed elements are only cut and joined along axis 0")
    }
  }
}
