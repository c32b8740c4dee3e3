import Foundation
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Speed", .enabled(if: ProcessInfo.processInfo.environment["POLLARD_BENCH"] != nil))
struct BenchmarkTests {
  /// BERT-base with random weights: 12 layers share one file of numbers, each layer at another offset.
  @Test("BERT-base, one sequence of 128 tokens")
  func bertBase() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "pollard-bench-\(getpid()).bin").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    var random = RandomNumbers(seed: 1)
    let count = 30522 * 768 + 4096
    var numbers = [Float](repeating: 0, count: count)
    for index in numbers.indices { numbers[index] = Float(Int64(random.next() >> 44) - (1 << 19)) / Float(1 << 24) }
    try numbers.withUnsafeBytes { try Data($0).write(to: URL(filePath: path)) }
    let file = try FileSource(path: path)
    var sample = TransformerSample(
      hidden: 768, heads: 12, headSize: 64, neurons: 3072, layers: 12, vocabulary: 30522, positions: 512)
    var next = 0
    sample.source = { _, shape, _ in
      next += 4
      let offset = min(next, (count - shape.elementCount) * 4) & ~3
      return .stored(file, byteOffset: offset, type: .f32, shape: shape)
    }
    let (graph, _) = try sample.build()
    let length = Int(ProcessInfo.processInfo.environment["POLLARD_BENCH_LENGTH"] ?? "") ?? 128
    let inputs = sample.inputs(batch: 1, sequence: length)
    let clock = ContinuousClock()
    for threads in [1, 2] {
      let start = clock.now
      let executor = try GraphExecutor(graph, threads: ThreadPool(threadCount: threads), weights: .resident)
      print("\(threads) threads: planned and packed in \(clock.now - start)")
      for _ in 0..<2 { _ = try executor.run(inputs: inputs) }
      let times = try (0..<9).map { _ in
        try clock.measure { _ = try executor.run(inputs: inputs) }
      }.sorted()
      print("\(threads) threads: \(times[0]) best, \(times[4]) median of \(times.count)")
      let profile = try executor.profile(inputs: inputs).sorted { $0.value > $1.value }
      for (name, time) in profile { print("  \(name): \(time)") }
    }
  }
}
