import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// Repeatable random numbers (SplitMix64).
struct RandomNumbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func floats(_ count: Int, within bound: Float = 1) -> [Float] {
    (0..<count).map { _ in Float.random(in: -bound...bound, using: &self) }
  }
}

/// Whether two tensors have the same bits.
func sameBits(_ a: Tensor?, _ b: Tensor?) -> Bool {
  guard let a, let b, a.type == b.type, a.extents == b.extents else { return false }
  switch a.type {
  case .f32: return a.floats().map(\.bitPattern) == b.floats().map(\.bitPattern)
  case .f64: return a.doubles().map(\.bitPattern) == b.doubles().map(\.bitPattern)
  default: return a.integers() == b.integers()
  }
}

/// The error that a call throws, if it is about a graph.
func graphError(_ body: () throws -> Void) -> GraphError? {
  do { try body() } catch { return error as? GraphError }
  return nil
}

let oneThread = ThreadPool(threadCount: 1)
let twoThreads = ThreadPool(threadCount: 2)
