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
  /// - Parameter names: the names of the tensors, in the order of `items`, for errors that do not name one.
  /// - Throws: what reading the sources or writing the output throws; `notFinite` when NaN or infinity is to be packed.
  public static func write(
    _ items: [(weight: Weight, fileOffset: Int)], names: [String] = [], to output: some PositionalOutput,
    threads: ThreadPool, chunkBytes: Int = 4 << 20, progress: (@Sendable (_ bytesDone: Int) -> Void)? = nil
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
          var failure = error
          if failure.subject == nil, chunk.item < names.count { failure.subject = .tensor(names[chunk.item]) }
          state.withLock { [failure] in if $0.failure == nil { $0.failure = failure } }
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
    let item: Int
    let weight: Weight
    let elements: Range<Int>
    let fileOffset: Int
    let byteCount: Int
  }

  private static func chunks(of items: [(weight: Weight, fileOffset: Int)], chunkBytes: Int) -> [Chunk] {
    var chunks: [Chunk] = []
    for item in items.indices.sorted(by: { items[$0].fileOffset < items[$1].fileOffset }) {
      let (weight, fileOffset) = items[item]
      let count = weight.shape.elementCount
      // Packed types: eight elements always fill whole bytes.
      // Packed blocks: a chunk ends between two of them, or both sides would pack the one that it cuts.
      let grain = max(1, weight.packingGrain) * 8
      let step = max(grain, chunkBytes * 8 / weight.type.bitCount / grain * grain)
      var start = 0
      while start < count {
        let end = min(count, start + step)
        chunks.append(
          Chunk(
            item: item, weight: weight, elements: start..<end,
            fileOffset: fileOffset + start * weight.type.bitCount / 8,
            byteCount: (end - start) * weight.type.bitCount / 8))
        start = end
      }
    }
    return chunks
  }
}
