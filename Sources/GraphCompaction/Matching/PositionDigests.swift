import PollardBase
import TensorStorage

extension Weight {
  /// A digest of the elements at each position of an axis, in F32 bits; the order of elements counts.
  ///
  /// The weight is streamed in the order it is stored in. Equal digests are no proof of equal elements.
  ///
  /// - Throws: errors of reading the file.
  func digests(along axis: Int) throws(FormatError) -> [UInt64] {
    precondition(axis < shape.rank, "digests are along an axis of the weight")
    if shape.rank > 2 { return try foldedDigests(along: axis) }
    if shape.rank == 2, let permutation = outerPermutation, permutation == [1, 0] {
      return try withoutOuterPermutation.digests(along: 1 - axis)
    }
    let columns = shape.rank == 2 ? shape[1] : 1
    let rows = shape.elementCount == 0 ? 0 : shape[0]
    var result = [UInt64](repeating: 0xCBF2_9CE4_8422_2325, count: shape[axis])
    if rows == 0 { return result }
    let step = max(1, (1 << 16) / columns)
    var buffer = [Float](repeating: 0, count: min(step, rows) * columns)
    var scratch = EvaluationScratch()
    let values = cast(to: .f32)
    var row = 0
    while row < rows {
      let count = min(step, rows - row)
      let elements = row * columns..<(row + count) * columns
      let read: Result<Void, FormatError> = buffer.withUnsafeMutableBufferPointer { target in
        do throws(FormatError) {
          let part = UnsafeMutableBufferPointer(rebasing: target[..<elements.count])
          return .success(try values.readFloats(elements: elements, into: part, scratch: &scratch))
        } catch { return .failure(error) }
      }
      try read.get()
      // Rows one after the other, so that neither loop divides.
      result.withUnsafeMutableBufferPointer { digests in
        buffer.withUnsafeBufferPointer { values in
          for line in 0..<count {
            if axis == 0 {
              var digest = digests[row + line]
              for column in 0..<columns { digest = Self.mixed(digest, values[line * columns + column]) }
              digests[row + line] = digest
            } else {
              for column in 0..<columns {
                digests[column] = Self.mixed(digests[column], values[line * columns + column])
              }
            }
          }
        }
      }
      row += count
    }
    return result
  }

  /// The digests along an axis of a tensor of more axes than two, by the place of each element.
  private func foldedDigests(along axis: Int) throws(FormatError) -> [UInt64] {
    let extent = shape[axis]
    let inner = shape.extents[(axis + 1)...].reduce(1, *)
    var result = [UInt64](repeating: 0xCBF2_9CE4_8422_2325, count: extent)
    let step = 1 << 16
    var buffer = [Float](repeating: 0, count: min(step, shape.elementCount))
    var scratch = EvaluationScratch()
    let values = cast(to: .f32)
    var start = 0
    while start < shape.elementCount {
      let count = min(step, shape.elementCount - start)
      let read: Result<Void, FormatError> = buffer.withUnsafeMutableBufferPointer { target in
        do throws(FormatError) {
          let part = UnsafeMutableBufferPointer(rebasing: target[..<count])
          return .success(try values.readFloats(elements: start..<start + count, into: part, scratch: &scratch))
        } catch { return .failure(error) }
      }
      try read.get()
      for offset in 0..<count {
        let position = (start + offset) / inner % extent
        result[position] = Self.mixed(result[position], buffer[offset])
      }
      start += count
    }
    return result
  }

  private static func mixed(_ digest: UInt64, _ value: Float) -> UInt64 {
    let product = (digest ^ UInt64(value.bitPattern)) &* 0x9E37_79B9_7F4A_7C15
    return product ^ product >> 29
  }
}
