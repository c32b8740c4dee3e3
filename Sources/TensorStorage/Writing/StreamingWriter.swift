import PollardBase
import Synchronization

/// Evaluates tensors chunk by chunk on all threads of a pool and writes each chunk to its place.
///
/// Memory is one chunk and one evaluation scratch for each thread, whatever the size of the tensors.
public struct StreamingWriter {
  /// Evaluates and writes tensors, each from a given offset of the output on.
  ///
  /// Chunks are taken in the order of their offsets. The first error stops the others and is thrown; the output is
  /// incomplete then. `progress` is called with the number of bytes written so far, ascending, from any thread.
  ///
  /// - Throws: what reading the sources or writing the output throws.
  public static func write(
    _ items: [(weight: Weight, fileOffset: Int)], to output: some PositionalOutput, threads: ThreadPool,
    chunkBytes: Int = 4 << 20, progress: (@Sendable (_ bytesDone: Int) -> Void)? = nil
  ) throws(FormatError) {
    precondition(chunkBytes >= 16, "a chunk holds an element")
    let chunks = chunks(of: items, chunkBytes: chunkBytes)
    let state = Mutex(State())
    let next = Atomic<Int>(0)
    let stopped = Atomic<Bool>(false)
    let largest = chunks.map(\.byteCount).max() ?? 0
    threads.forEach(min(threads.threadCount, chunks.count)) { _ in
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: largest, alignment: 4096)
      defer { buffer.deallocate() }
      var scratch = EvaluationScratch()
      while !stopped.load(ordering: .relaxed) {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < chunks.count else { return }
        let chunk = chunks[index]
        let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<chunk.byteCount])
        do throws(FormatError) {
          try chunk.weight.read(elements: chunk.elements, into: bytes, scratch: &scratch)
          try output.write(UnsafeRawBufferPointer(bytes), at: chunk.fileOffset)
        } catch {
          stopped.store(true, ordering: .relaxed)
          state.withLock { if $0.failure == nil { $0.failure = error } }
          return
        }
        state.withLock {
          $0.bytesDone += chunk.byteCount
          progress?($0.bytesDone)
        }
      }
    }
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  private struct State {
    var failure: FormatError?
    var bytesDone = 0
  }

  private struct Chunk: Sendable {
    let weight: Weight
    let elements: Range<Int>
    let fileOffset: Int
    let byteCount: Int
  }

  private static func chunks(of items: [(weight: Weight, fileOffset: Int)], chunkBytes: Int) -> [Chunk] {
    var chunks: [Chunk] = []
    for (weight, fileOffset) in items.sorted(by: { $0.fileOffset < $1.fileOffset }) {
      let count = weight.shape.elementCount
      // Packed types: eight elements always fill whole bytes.
      let step = max(8, chunkBytes * 8 / weight.type.bitCount / 8 * 8)
      var start = 0
      while start < count {
        let end = min(count, start + step)
        chunks.append(
          Chunk(
            weight: weight, elements: start..<end, fileOffset: fileOffset + start * weight.type.bitCount / 8,
            byteCount: (end - start) * weight.type.bitCount / 8))
        start = end
      }
    }
    return chunks
  }
}
