import PollardBase
import TensorKernels
import Testing

/// All kernel tests: one at a time, because the instruction set is chosen for the whole process.
@Suite("Numeric kernels", .serialized)
enum KernelTests {}

/// SplitMix64: the same numbers everywhere from a printed seed.
struct SeededNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func integer(below bound: Int) -> Int { Int(next() % UInt64(bound)) }

  /// Uniform in -1 ..< 1.
  mutating func number() -> Float { Float(Int32(truncatingIfNeeded: next() >> 32)) * 0x1p-31 }

  mutating func numbers(_ count: Int) -> [Float] { (0..<count).map { _ in number() } }

  /// Any bit pattern: zeros, subnormals, infinities and NaN included.
  mutating func anyFloat() -> Float {
    switch integer(below: 8) {
    case 0: [0, -0.0, .infinity, -.infinity, .nan, 1, -1, .leastNonzeroMagnitude][integer(below: 8)]
    case 1, 2: Float(bitPattern: UInt32(truncatingIfNeeded: next()))
    case 3: number() * 100
    default: number() * 6
    }
  }
}

/// The bits of a result, with one pattern for all NaN.
func canonicalBits(_ values: [Float]) -> [UInt32] { values.map { $0.isNaN ? 0x7fc0_0000 : $0.bitPattern } }

/// Index of the first place where two results differ; their length where one is longer.
///
/// Long arrays are compared with this: a failed `==` of them describes every element.
func firstDifference(_ a: [UInt32], _ b: [UInt32]) -> Int? {
  if let index = zip(a, b).enumerated().first(where: { $1.0 != $1.1 })?.offset { return index }
  return a.count == b.count ? nil : min(a.count, b.count)
}

/// Runs `body` with every instruction set of the machine and puts the former one back.
func onEveryInstructionSet<Result>(_ body: () throws -> Result) rethrows -> [(InstructionSet, Result)] {
  let former = InstructionSet.current
  defer { former.select() }
  return try InstructionSet.available.map { set in
    set.select()
    return (set, try body())
  }
}

func using<Result>(_ set: InstructionSet, _ body: () throws -> Result) rethrows -> Result {
  let former = InstructionSet.current
  set.select()
  defer { former.select() }
  return try body()
}

let oneThread = ThreadPool(threadCount: 1)
let twoThreads = ThreadPool(threadCount: 2)

extension [Float] {
  /// This array as a matrix, for the length of `body`.
  func asMatrix<Result>(_ rows: Int, _ columns: Int, _ body: (MatrixView) throws -> Result) rethrows -> Result {
    try withUnsafeBufferPointer { try body(MatrixView($0, rows: rows, columns: columns)) }
  }

  mutating func asMutableMatrix<Result>(
    _ rows: Int, _ columns: Int, _ body: (MutableMatrixView) throws -> Result
  ) rethrows -> Result {
    try withUnsafeMutableBufferPointer { try body(MutableMatrixView($0, rows: rows, columns: columns)) }
  }
}
