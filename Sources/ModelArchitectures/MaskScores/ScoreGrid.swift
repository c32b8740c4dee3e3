import PollardBase
import TensorStorage

/// The scores of one matrix: one for each weight, or one for each block of weights.
struct ScoreGrid: Sendable {
  /// `[rows / blockRows, columns / blockColumns]`, F32, F16 or BF16.
  var scores: Weight
  /// Rows of a block.
  var blockRows = 1
  /// Columns of a block.
  var blockColumns = 1

  /// Reads the scores, whole rows at a time.
  func forEachChunk(
    _ body: (Int, UnsafeBufferPointer<Float>) throws(FormatError) -> Void
  ) throws(FormatError) {
    let (rows, columns) = (scores.shape[0], scores.shape[1])
    guard rows > 0, columns > 0 else { return }
    let step = max(1, (1 << 20) / columns)
    var scratch = EvaluationScratch()
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(rows, step) * columns)
    defer { buffer.deallocate() }
    for row in stride(from: 0, to: rows, by: step) {
      let count = min(step, rows - row)
      let block = UnsafeMutableBufferPointer(rebasing: buffer[..<(count * columns)])
      try scores.readFloats(elements: row * columns..<(row + count) * columns, into: block, scratch: &scratch)
      try body(row, UnsafeBufferPointer(block))
    }
  }
}

/// Numbers in the order of their values, as whole numbers: greater scores have greater keys, and the two zeros one.
struct ScoreKey: Hashable, Comparable {
  var bits: UInt32

  init(bits: UInt32) { self.bits = bits }

  init(_ value: Float) {
    let pattern = (value + 0).bitPattern
    bits = pattern >> 31 == 1 ? ~pattern : pattern | 1 << 31
  }

  /// The number of a key.
  var value: Float { Float(bitPattern: bits >> 31 == 1 ? bits & 0x7fff_ffff : ~bits) }

  static func < (a: Self, b: Self) -> Bool { a.bits < b.bits }
}

/// The score at a place of the ascending order, found without sorting: the scores are read twice.
struct ScoreRank {
  /// The score.
  private(set) var key = ScoreKey(bits: 0)
  /// How many scores are smaller.
  private(set) var below = 0
  /// How many scores are just this.
  private(set) var equal = 0

  /// - Parameters:
  ///   - place: counted from 1, at most the number of scores.
  ///   - visit: shows every score, in chunks.
  /// - Complexity: O(scores) time, half a megabyte of counters.
  init(
    place: Int, _ visit: ((UnsafeBufferPointer<Float>) -> Void) throws(FormatError) -> Void
  ) throws(FormatError) {
    var high = Array(repeating: 0, count: 1 << 16)
    try visit { for value in $0 { high[Int(ScoreKey(value).bits >> 16)] += 1 } }
    let bucket = Self.bucket(high, place, &below)
    var low = Array(repeating: 0, count: 1 << 16)
    try visit {
      for value in $0 {
        let bits = ScoreKey(value).bits
        if Int(bits >> 16) == bucket { low[Int(bits & 0xffff)] += 1 }
      }
    }
    let last = Self.bucket(low, place, &below)
    key = ScoreKey(bits: UInt32(bucket) << 16 | UInt32(last))
    equal = low[last]
  }

  /// The bucket that holds a place, with what lies before it added to `below`.
  private static func bucket(_ counts: [Int], _ place: Int, _ below: inout Int) -> Int {
    for (bucket, count) in counts.enumerated() {
      if below + count >= place { return bucket }
      below += count
    }
    return counts.count - 1
  }
}
