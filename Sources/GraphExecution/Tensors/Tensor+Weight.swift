import PollardBase
import Synchronization
import TensorStorage

extension Tensor {
  /// Reads a whole weight into memory; half floats become single precision.
  ///
  /// - Throws: `GraphError` `unsupported` for element types that graphs do not compute with; `FormatError` when the file cannot
  ///   be read.
  /// - Complexity: O(number of elements).
  public init(reading weight: Weight) throws {
    try self.init(
      reading: weight, memory: Memory(pool: ThreadPool(threadCount: 1), buffers: BufferPool()))
  }

  init(reading weight: Weight, memory: Memory) throws {
    guard let type = weight.type.computed(in: memory.precision), weight.type != .string else {
      throw GraphError(.unsupported, expected: "an element type that graphs compute with", found: "\(weight.type)")
    }
    let declared = weight.type.tracked(in: memory.precision)
    guard weight.type.canBeCast(to: type) else {
      self = try Self.unpacked(weight, type).declared(declared ?? type)
      return
    }
    let result = try memory.tensor(type, weight.shape.extents, as: declared)
    let source = weight.cast(to: type)
    let size = type.computedByteCount
    let total = weight.shape.elementCount
    let step = 1 << 18
    let failure = FirstFailure()
    nonisolated(unsafe) let base = result.buffer.base
    memory.pool.forEach((total + step - 1) / step) { part in
      let elements = part * step..<min(total, (part + 1) * step)
      failure.catching {
        var scratch = EvaluationScratch()
        let bytes = UnsafeMutableRawBufferPointer(
          start: base + elements.lowerBound * size, count: elements.count * size)
        try source.read(elements: elements, into: bytes, scratch: &scratch)
        if type == .bool { for index in bytes.indices { bytes[index] = bytes[index] == 0 ? 0 : 1 } }
      }
    }
    try failure.check()
    self = result
  }
}

extension Tensor {
  /// Elements of less than a byte, each in its own.
  private static func unpacked(_ weight: Weight, _ type: ElementType) throws -> Tensor {
    let bytes = try weight.bytes()
    let count = weight.shape.elementCount
    let bits = weight.type.bitCount
    guard bits < 8, count <= bytes.count * 8 / bits else {
      throw GraphError(.unsupported, expected: "an element type that graphs compute with", found: "\(weight.type)")
    }
    return decoded(codes(bytes, count: count, bits: bits), weight.type, type, weight.shape.extents)
  }
}

extension NarrowRounding {
  /// The number of a code of 4 or 6 bits: all codes are numbers.
  static func value(of code: Int, _ type: ElementType) -> Float {
    guard let format = NarrowRounding(type) else { return .nan }
    let magnitude = code & ((1 << (type.bitCount - 1)) - 1)
    let (exponent, fraction) = (magnitude >> format.fractionBits, magnitude & ((1 << format.fractionBits) - 1))
    let step = Float(sign: .plus, exponent: format.leastExponent - format.fractionBits, significand: 1)
    let whole = exponent == 0 ? fraction : fraction + 1 << format.fractionBits
    let value = Float(whole) * Float(sign: .plus, exponent: max(exponent - 1, 0), significand: 1) * step
    return magnitude == code ? value : -value
  }
}

/// Carries the first error out of a parallel loop.
final class FirstFailure: Sendable {
  private let error = Mutex<(any Error)?>(nil)

  /// Runs a step unless one has failed already.
  func catching(_ body: () throws -> Void) {
    if error.withLock({ $0 != nil }) { return }
    do { try body() } catch let caught {
      error.withLock { if $0 == nil { $0 = caught } }
    }
  }

  /// - Throws: the first error of any step.
  func check() throws { if let error = error.withLock({ $0 }) { throw error } }
}
