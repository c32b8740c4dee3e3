import PollardBase
import Synchronization
import TensorStorage

/// Compares two lazy tensors byte for byte, without holding either.
public enum WeightComparison {
  /// The index of the first element whose bytes differ, or nil when every byte is equal.
  ///
  /// Both must have the same type and shape. Memory is two chunks for each thread.
  ///
  /// - Throws: what reading either source throws.
  /// - Complexity: O(bytes).
  public static func firstDifference(
    _ a: Weight, _ b: Weight, pool: ThreadPool, chunkBytes: Int = 1 << 20
  ) throws(FormatError) -> Int? {
    precondition(a.type == b.type && a.shape == b.shape, "tensors of one type and shape are compared")
    if a == b { return nil }
    let count = a.shape.elementCount
    guard let size = a.type.byteCount else {
      let (x, y) = (try a.bytes(), try b.bytes())
      return zip(x, y).enumerated().first { $0.element.0 != $0.element.1 }.map { $0.offset * 8 / a.type.bitCount }
    }
    // Chunks end between packed blocks, which are rounded as a whole.
    let last = a.shape.extents.last ?? 1
    let slice = a.type == .u8 && a.shape.rank > 2 && last <= 1024 ? max(1, last) : 1
    let step = max(1, chunkBytes / size / slice) * slice
    let chunks = (count + step - 1) / step
    let outcome = Mutex<Outcome>(Outcome())
    pool.forEach(chunks) { chunk in
      if let first = outcome.withLock({ $0.first }), first < chunk * step { return }
      let range = chunk * step..<min(count, (chunk + 1) * step)
      let buffers = (0..<2).map { _ in
        UnsafeMutableRawBufferPointer.allocate(byteCount: range.count * size, alignment: 64)
      }
      defer { for buffer in buffers { buffer.deallocate() } }
      do throws(FormatError) {
        var scratch = EvaluationScratch()
        try a.read(elements: range, into: buffers[0], scratch: &scratch)
        try b.read(elements: range, into: buffers[1], scratch: &scratch)
        guard let place = firstDifferingByte(buffers[0], buffers[1]) else { return }
        let element = range.lowerBound + place / size
        outcome.withLock { $0.first = min($0.first ?? element, element) }
      } catch {
        outcome.withLock { if $0.failure == nil { $0.failure = error } }
      }
    }
    let result = outcome.withLock { $0 }
    if let failure = result.failure { throw failure }
    return result.first
  }

  private struct Outcome: Sendable {
    var first: Int?
    var failure: FormatError?
  }
}

/// The first place where two buffers of one length differ.
private func firstDifferingByte(_ a: UnsafeMutableRawBufferPointer, _ b: UnsafeMutableRawBufferPointer) -> Int? {
  let words = a.count / 8
  var place = words * 8
  for word in 0..<words
  where a.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self)
    != b.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self)
  {
    place = word * 8
    break
  }
  return (place..<a.count).first { a[$0] != b[$0] }
}
