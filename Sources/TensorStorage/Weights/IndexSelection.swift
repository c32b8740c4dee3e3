/// The indices kept (or zeroed) along an axis, in the order in which the result has them.
struct IndexSelection: Sendable, Hashable {
  let indices: [Int]
  /// The same indices as maximal stretches of consecutive ones.
  let runs: [Run]

  /// Consecutive indices that go to consecutive positions.
  struct Run: Sendable {
    /// The first index in the operand.
    var source: Int
    /// The position of that index in the result.
    var position: Int
    var count: Int
  }

  init(_ indices: [Int]) {
    self.indices = indices
    var runs: [Run] = []
    for (position, index) in indices.enumerated() {
      if let last = runs.last, last.source + last.count == index {
        runs[runs.count - 1].count += 1
      } else {
        runs.append(Run(source: index, position: position, count: 1))
      }
    }
    self.runs = runs
  }

  static func == (a: Self, b: Self) -> Bool { a.indices == b.indices }

  func hash(into hasher: inout Hasher) { hasher.combine(indices) }

  /// The stretches that cover the result positions `first ..< first + count`, clipped to them.
  func runs(first: Int, count: Int) -> [Run] {
    if count == 0 { return [] }
    var low = 0
    var high = runs.count
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].position + runs[middle].count <= first { low = middle + 1 } else { high = middle }
    }
    var clipped: [Run] = []
    while low < runs.count, runs[low].position < first + count {
      var run = runs[low]
      let skipped = max(0, first - run.position)
      run.source += skipped
      run.position += skipped
      run.count = min(run.count - skipped, first + count - run.position)
      clipped.append(run)
      low += 1
    }
    return clipped
  }

  /// Whether the indices are all of an axis in order.
  static func isEverything(_ indices: [Int], of extent: Int) -> Bool {
    guard indices.count == extent else { return false }
    for (position, index) in indices.enumerated() where position != index { return false }
    return true
  }
}
