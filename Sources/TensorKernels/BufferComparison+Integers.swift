extension BufferComparison {
  /// Compares integers; neighbouring ones are one representable number apart.
  ///
  /// - Precondition: equal counts.
  /// - Complexity: O(count)
  public init<Number: FixedWidthInteger>(
    integers reference: UnsafeBufferPointer<Number>, other: UnsafeBufferPointer<Number>
  ) {
    precondition(reference.count == other.count, "the buffers have different lengths")
    self.init()
    for index in reference.indices {
      let (a, b) = (reference[index], other[index])
      let (x, y) = (Double(a), Double(b))
      maximumReference = max(maximumReference, x.magnitude)
      dotProducts.both += x * y
      dotProducts.reference += x * x
      dotProducts.other += y * y
      if a == b { continue }
      differing += 1
      firstDiffering = firstDiffering ?? index
      let distance = UInt64(truncatingIfNeeded: a > b ? a &- b : b &- a)
      maximumULP = max(maximumULP, distance)
      maximumAbsolute = max(maximumAbsolute, Double(distance))
    }
  }
}
