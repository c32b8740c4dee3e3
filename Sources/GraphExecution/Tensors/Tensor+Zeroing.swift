extension Tensor {
  /// A copy of a F32 tensor with +0 at some positions of an axis, and whether everything that was there is finite.
  ///
  /// - Precondition: the element type is F32 and the axis exists.
  /// - Complexity: O(number of elements).
  package func zeroing(along axis: Int, where isZeroed: (Int) -> Bool) -> (tensor: Tensor, wasFinite: Bool) {
    precondition(type == .f32 && extents.indices.contains(axis), "an axis of a F32 tensor")
    var values = floats()
    let extent = extents[axis]
    let inner = extents[(axis + 1)...].reduce(1, *)
    let positions = (0..<extent).filter(isZeroed)
    var wasFinite = true
    for outer in 0..<extents[..<axis].reduce(1, *) {
      for position in positions {
        let start = (outer * extent + position) * inner
        for index in start..<start + inner {
          wasFinite = wasFinite && values[index].isFinite
          values[index] = 0
        }
      }
    }
    return (Tensor(floats: values, extents: extents), wasFinite)
  }
}
