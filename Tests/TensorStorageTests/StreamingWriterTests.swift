import PollardBase
import Synchronization
import TensorStorage
import Testing

@Suite("Streaming writer")
struct StreamingWriterTests {
  @Test(
    "Chunks of any size on any number of threads give the bytes of each tensor", arguments: [1, 2, 3],
    [16, 1000, 1 << 20])
  func writesEverything(threads: Int, chunkBytes: Int) throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SeededGenerator(seed: seed)
    let bytes = (0..<200_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let file = try temporaryFile(bytes)
    let matrix = Weight.stored(file, byteOffset: 3, type: .bf16, shape: [100, 300])
    let columns = (0..<300).filter { _ in Bool.random(using: &generator) }
    let packed = Weight.stored(file, byteOffset: 7, type: .f4, shape: [50, 20])
    let weights = [
      matrix.keeping(columns, axis: 1), matrix.transposed().cast(to: .f32), matrix.keeping([], axis: 0),
      packed.keeping([3, 4, 9], axis: 0), .zeros(type: .u8, shape: [77]), matrix.keeping([5, 2], axis: 0),
    ]
    var items: [(weight: Weight, fileOffset: Int)] = []
    var expected: [UInt8] = Array(repeating: 0xEE, count: 5)
    for weight in weights {
      items.append((weight, expected.count))
      expected += try weight.bytes()
    }
    let output = MemoryOutput(count: expected.count)
    let reported = Mutex<[Int]>([])
    try StreamingWriter.write(
      items.shuffled(using: &generator), to: output, threads: ThreadPool(threadCount: threads), chunkBytes: chunkBytes
    ) { done in reported.withLock { $0.append(done) } }
    #expect(output.bytes == expected, "seed \(seed)")
    let progress = reported.withLock { $0 }
    #expect(progress == progress.sorted() && progress.last == expected.count - 5)
  }

  @Test("Packed rows are the bytes of the rows kept")
  func packedRows() throws {
    let file = try temporaryFile((0..<100).map { UInt8($0) })
    let weight = Weight.stored(file, byteOffset: 10, type: .f4, shape: [4, 3, 2]).keeping([3, 1], axis: 0)
    #expect(try weight.bytes() == [19, 20, 21, 13, 14, 15])
    #expect(
      try Weight.concatenated([weight, weight.keeping([1], axis: 0)], axis: 0).bytes() == [
        19, 20, 21, 13, 14, 15, 13, 14, 15,
      ])
  }

  @Test("The first error stops the writer and is thrown", arguments: [1, 2])
  func errorsAreThrown(threads: Int) throws {
    let file = try temporaryFile(Array(repeating: 1, count: 100_000))
    let weight = Weight.stored(file, byteOffset: 0, type: .u8, shape: [100_000])
    let error = #expect(throws: FormatError.self) {
      try StreamingWriter.write(
        [(weight, 0)], to: MemoryOutput(count: 100_000, failingOffset: 50_000),
        threads: ThreadPool(threadCount: threads),
        chunkBytes: 1000)
    }
    #expect(error?.code == .diskFull)
  }
}
