import PollardBase
import Synchronization

/// How far numbers lie from what packing them into blocks makes of them.
public struct RequantizationError: Sendable, Equatable {
  /// The number of elements compared.
  public var elementCount = 0
  /// The largest distance between a number and its packed value.
  public var maximumAbsolute = 0.0
  /// The sum of the squared distances.
  public var squaredError = 0.0
  /// The sum of the squared numbers.
  public var squaredNumbers = 0.0

  /// Nothing compared yet.
  public init() {}

  /// The root of the mean squared distance, over the root of the mean square of the numbers; 0 where all are zero.
  public var relativeRootMeanSquare: Double {
    squaredNumbers > 0 ? (squaredError / squaredNumbers).squareRoot() : 0
  }

  /// Adds what was found over other elements.
  public mutating func add(_ other: Self) {
    elementCount += other.elementCount
    maximumAbsolute = max(maximumAbsolute, other.maximumAbsolute)
    squaredError += other.squaredError
    squaredNumbers += other.squaredNumbers
  }

  mutating func add(_ number: Float, packed: Float) {
    let distance = Double(number) - Double(packed)
    elementCount += 1
    maximumAbsolute = max(maximumAbsolute, abs(distance))
    squaredError += distance * distance
    squaredNumbers += Double(number) * Double(number)
  }
}

extension Weight {
  /// What packing these numbers (F32, the last axis whole blocks) as a format would change.
  ///
  /// Reads, packs and unpacks a strip of 64 Ki elements at a time on each thread. The result does not depend on the
  /// number of threads. Numbers that already are blocks of the format are not rounded: their error is 0.
  ///
  /// - Throws: what reading throws, and `notFinite`.
  public func requantizationError(as format: BlockFormat, threads: ThreadPool) throws(FormatError)
    -> RequantizationError
  {
    precondition(type == .f32 && shape.rank >= 1, "numbers are packed from single precision")
    precondition(shape[shape.rank - 1] % format.elementsPerBlock == 0, "rows are whole blocks")
    let count = shape.elementCount
    if packedBlocks(format) != nil {
      var exact = RequantizationError()
      exact.elementCount = count
      return exact
    }
    let strip = 1 << 16
    let strips = (count + strip - 1) / strip
    let results = Mutex<[Result<RequantizationError, FormatError>?]>(Array(repeating: nil, count: strips))
    let next = Atomic<Int>(0)
    threads.forEach(min(threads.threadCount, strips)) { _ in
      var work = RequantizationWork(format: format, strip: min(strip, count))
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < strips else { return }
        let result = work.compare(self, index * strip..<min(count, (index + 1) * strip))
        results.withLock { $0[index] = result }
      }
    }
    var total = RequantizationError()
    for result in results.withLock({ $0 }) {
      if let result { total.add(try result.get()) }
    }
    return total
  }
}

/// The buffers of one thread.
private struct RequantizationWork: ~Copyable {
  let format: BlockFormat
  var scratch = EvaluationScratch()
  let numbers: UnsafeMutableBufferPointer<Float>
  let unpacked: UnsafeMutableBufferPointer<Float>
  let packed: UnsafeMutableRawBufferPointer

  init(format: BlockFormat, strip: Int) {
    self.format = format
    numbers = .allocate(capacity: max(1, strip))
    unpacked = .allocate(capacity: max(1, strip))
    packed = .allocate(byteCount: max(1, strip / format.elementsPerBlock * format.bytesPerBlock), alignment: 64)
  }

  deinit {
    numbers.deallocate()
    unpacked.deallocate()
    packed.deallocate()
  }

  mutating func compare(_ weight: Weight, _ elements: Range<Int>) -> Result<RequantizationError, FormatError> {
    let part = UnsafeMutableBufferPointer(rebasing: numbers[..<elements.count])
    do throws(FormatError) {
      try weight.readFloats(elements: elements, into: part, scratch: &scratch)
    } catch {
      return .failure(error)
    }
    var error = RequantizationError()
    guard let source = part.baseAddress, let target = unpacked.baseAddress, let bytes = packed.baseAddress else {
      return .success(error)
    }
    let blocks = elements.count / format.elementsPerBlock
    if let bad = BlockCodec.encode(format, blocks, from: source, to: bytes) {
      let element = elements.lowerBound + bad * format.elementsPerBlock
      return .failure(
        FormatError(
          .notFinite, expected: "finite numbers to pack as \(format)",
          found: "NaN or infinity at or after element \(element)", remedy: "write the tensor as F32, F16 or BF16"))
    }
    BlockCodec.decode(format, blocks, from: bytes, to: target)
    for index in 0..<elements.count { error.add(part[index], packed: unpacked[index]) }
    return .success(error)
  }
}
