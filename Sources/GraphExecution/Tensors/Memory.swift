import PollardBase
import TensorStorage

/// What making a tensor needs: threads, memory to reuse, and the type of floating-point numbers.
struct Memory: Sendable {
  let pool: ThreadPool
  let buffers: BufferPool
  var precision = ComputingPrecision.declared

  /// A dense tensor whose content is undefined.
  ///
  /// - Throws: `tooLarge` when it would take more than the machine's memory.
  func tensor(
    _ type: ElementType, _ extents: [Int], as declared: ElementType? = nil
  ) throws(GraphError) -> Tensor {
    Tensor(
      type: type, declared: declared, extents: extents, strides: rowMajorStrides(extents), offset: 0,
      buffer: TensorBuffer(byteCount: try byteCount(type, extents), from: buffers))
  }

  /// The bytes of a tensor, which may also be a view that somebody makes dense.
  ///
  /// - Throws: `tooLarge` when it would take more than the machine's memory, or an extent is negative.
  @discardableResult
  func byteCount(_ type: ElementType, _ extents: [Int]) throws(GraphError) -> Int {
    var bytes = type.computedByteCount
    for extent in extents {
      // Extents beside a zero are bounded as well: parts of the tensor have them without it.
      let (product, overflow) = bytes.multipliedReportingOverflow(by: max(1, extent))
      guard !overflow, extent >= 0 else { throw tooLarge(type, extents) }
      bytes = product
    }
    guard bytes <= Self.limit else { throw tooLarge(type, extents) }
    return extents.contains(0) ? 0 : bytes
  }

  private func tooLarge(_ type: ElementType, _ extents: [Int]) -> GraphError {
    GraphError(.tooLarge, expected: "at most \(Self.limit) bytes for one tensor", found: "\(type)\(extents)")
  }

  /// The bytes of memory that the process may have.
  static let limit = MemoryLimit.bytes
}

extension Tensor {
  /// The first element of a tensor that is being made.
  func written<Element: TensorElement>(_ type: Element.Type) -> UnsafeMutablePointer<Element> {
    precondition(Element.represents(self.type), "elements are written as what they are")
    return buffer.base.assumingMemoryBound(to: Element.self) + offset
  }

  /// The first element of a tensor that is being made, as bits.
  func writtenBits<Bits: FixedWidthInteger>(_ type: Bits.Type) -> UnsafeMutablePointer<Bits> {
    precondition(MemoryLayout<Bits>.size == self.type.computedByteCount, "bits are as wide as elements")
    return buffer.base.assumingMemoryBound(to: Bits.self) + offset
  }

  /// The same elements, dense and row-major; the tensor itself when they lie so already.
  func contiguous(_ memory: Memory? = nil) -> Tensor {
    if isContiguous { return self }
    let dense = Tensor(
      type: type, declared: declaredType, extents: extents, strides: rowMajorStrides(extents), offset: 0,
      buffer: TensorBuffer(byteCount: elementCount * type.computedByteCount, from: memory?.buffers))
    copyElements(of: self, to: dense, memory?.pool)
    return dense
  }
}

/// Copies the elements of a tensor to a view of another with equal extents.
func copyElements(of source: Tensor, to target: Tensor, _ pool: ThreadPool?) {
  switch source.type.computedByteCount {
  case 1: copyElements(UInt8.self, source, target, pool)
  case 2: copyElements(UInt16.self, source, target, pool)
  case 4: copyElements(UInt32.self, source, target, pool)
  default: copyElements(UInt64.self, source, target, pool)
  }
}

private func copyElements<Bits: FixedWidthInteger & BitwiseCopyable & Sendable>(
  _ type: Bits.Type, _ source: Tensor, _ target: Tensor, _ pool: ThreadPool?
) {
  if source.extents.contains(0) { return }
  let nest = LoopNest(source.extents, [source.strides, target.strides])
  let (count, strides) = nest.inner
  nonisolated(unsafe) let from = source.bits(type)
  nonisolated(unsafe) let to = target.writtenBits(type)
  forEachStep(nest.outerCount(above: 1), size: count, pool) { step in
    let x = from + nest.offset(0, at: step, above: 1)
    let y = to + nest.offset(1, at: step, above: 1)
    if strides[0] == 1, strides[1] == 1 {
      y.update(from: x, count: count)
    } else {
      for index in 0..<count { y[index * strides[1]] = x[index * strides[0]] }
    }
  }
}

/// Runs the steps of an outer loop over `size` elements each, on all threads where there is enough to do.
func forEachStep(_ count: Int, size: Int, _ pool: ThreadPool?, _ body: @Sendable (Int) -> Void) {
  let grain = max(1, 16384 / max(size, 1))
  guard let pool, pool.threadCount > 1, count > grain else {
    for step in 0..<count { body(step) }
    return
  }
  let parts = min((count + grain - 1) / grain, 4 * pool.threadCount)
  pool.forEach(parts) { part in
    for step in (part * count / parts)..<((part + 1) * count / parts) { body(step) }
  }
}
