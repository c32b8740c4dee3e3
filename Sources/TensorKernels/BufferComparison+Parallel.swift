import PollardBase
import Synchronization

extension BufferComparison {
  /// Elements that are compared at a time: the sums of the cosine depend on it, so it is the same for any number of threads.
  private static let stretch = 1 << 16

  /// Compares `reference` and `other` on all threads.
  ///
  /// - Precondition: equal counts.
  /// - Complexity: O(count), spread over the pool.
  public init(reference: UnsafeBufferPointer<Float>, other: UnsafeBufferPointer<Float>, pool: ThreadPool) {
    precondition(reference.count == other.count, "the buffers have different lengths")
    let count = (reference.count + Self.stretch - 1) / Self.stretch
    guard count > 1 else {
      self.init(reference: reference, other: other)
      return
    }
    let found = Mutex<[BufferComparison?]>(Array(repeating: nil, count: count))
    nonisolated(unsafe) let (a, b) = (reference, other)
    pool.forEach(count) { index in
      let range = index * Self.stretch..<min(a.count, (index + 1) * Self.stretch)
      let part = BufferComparison(
        reference: UnsafeBufferPointer(rebasing: a[range]), other: UnsafeBufferPointer(rebasing: b[range]))
      found.withLock { $0[index] = part }
    }
    let parts = found.withLock { $0.compactMap(\.self) }
    self = parts[0]
    for (index, part) in parts.enumerated().dropFirst() { add(part, at: index * Self.stretch) }
  }

  /// Adds what was found in a later part of the buffers.
  private mutating func add(_ part: BufferComparison, at start: Int) {
    differing += part.differing
    firstDiffering = firstDiffering ?? part.firstDiffering.map { start + $0 }
    signDifferences += part.signDifferences
    nonfiniteMismatches += part.nonfiniteMismatches
    maximumULP = max(maximumULP, part.maximumULP)
    maximumAbsolute = max(maximumAbsolute, part.maximumAbsolute)
    maximumReference = max(maximumReference, part.maximumReference)
    dotProducts.both += part.dotProducts.both
    dotProducts.reference += part.dotProducts.reference
    dotProducts.other += part.dotProducts.other
  }
}
