import PollardBase
import TensorStorage

extension Weight {
  /// For each position along an axis of a matrix, the sum of magnitudes or of squares of all elements there.
  ///
  /// The matrix is read in the order of its file. Sums run over ascending elements for any number of threads.
  func sums(along axis: Int, squared: Bool, pool: ThreadPool) throws(FormatError) -> [Double] {
    precondition(shape.rank == 2, "a matrix")
    let sourceAxis = outerPermutation.map { $0[axis] } ?? axis
    let source = withoutOuterPermutation.cast(to: .f32)
    let rows = source.shape[0]
    let columns = source.shape[1]
    var sums = Array(repeating: 0.0, count: sourceAxis == 0 ? rows : columns)
    guard rows > 0, columns > 0 else { return sums }
    let step = max(1, (1 << 20) / columns)
    var scratch = EvaluationScratch()
    var buffer = [Float](repeating: 0, count: min(rows, step) * columns)
    var row = 0
    while row < rows {
      let count = min(step, rows - row)
      var failure: FormatError?
      buffer.withUnsafeMutableBufferPointer { all in
        let block = UnsafeMutableBufferPointer(rebasing: all[..<(count * columns)])
        do throws(FormatError) {
          try source.readFloats(
            elements: row * columns..<(row + count) * columns, into: block, scratch: &scratch)
        } catch {
          failure = error
          return
        }
        for i in 0..<count {
          var total = 0.0
          for j in 0..<columns {
            let value = Double(block[i * columns + j])
            let term = squared ? value * value : value.magnitude
            if sourceAxis == 0 { total += term } else { sums[j] += term }
          }
          if sourceAxis == 0 { sums[row + i] = total }
        }
      }
      if let failure { throw failure }
      row += count
    }
    return sums
  }
}
