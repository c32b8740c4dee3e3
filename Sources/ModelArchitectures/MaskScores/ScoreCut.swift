import PollardBase
import TensorKernels
import TensorStorage

/// From where on the scores of a matrix keep: all above a score, and of those that are just this the first ones.
struct ScoreCut: Sendable {
  /// Scores above this keep.
  var key: ScoreKey
  /// How many scores that are just `key` keep as well, in row-major order.
  var ties = 0

  /// Keeps nothing.
  static let nothing = ScoreCut(key: ScoreKey(bits: .max))

  /// The cut that a rule makes through one matrix.
  ///
  /// - Parameters:
  ///   - global: the cut through all matrices together, for `globalTopk`.
  ///   - leastShare: where less than this share of a matrix would stay under a threshold, its largest scores stay.
  init(
    _ rule: ScoreRule, _ threshold: Double, _ grid: ScoreGrid, global: ScoreCut?, leastShare: Double
  ) throws(FormatError) {
    let total = grid.scores.shape.elementCount
    let isMagnitude = rule == .magnitude
    func visit(_ body: (UnsafeBufferPointer<Float>) -> Void) throws(FormatError) {
      try grid.forEachChunk { _, values in
        guard isMagnitude else { return body(values) }
        let magnitudes = values.map(\.magnitude)
        magnitudes.withUnsafeBufferPointer(body)
      }
    }
    switch rule {
    case .l0: self = .nothing
    case .topk, .magnitude:
      let kept = min(total, Int(threshold * Double(total)))
      guard kept > 0 else {
        self = .nothing
        return
      }
      let rank = try ScoreRank(place: total - kept + 1, visit)
      self = ScoreCut(key: rank.key, ties: kept - (total - rank.below - rank.equal))
    case .value, .sigmoid, .globalTopk:
      self = global ?? (rule == .sigmoid ? .sigmoid(above: threshold) : ScoreCut(key: ScoreKey(Float(threshold))))
      let least = Int(leastShare * Double(total)) + 1
      var kept = 0
      let key = key
      try visit { values in kept += values.count { ScoreKey($0) > key } }
      if kept < least {
        self = ScoreCut(key: try ScoreRank(place: max(total - least, 1), visit).key)
      }
    }
  }

  init(key: ScoreKey, ties: Int = 0) {
    self.key = key
    self.ties = ties
  }

  /// The cut through the scores of all matrices together.
  static func global(_ threshold: Double, _ grids: [ScoreGrid]) throws(FormatError) -> ScoreCut {
    if threshold == 1 { return ScoreCut(key: ScoreKey(-100)) }
    let total = grids.reduce(0) { $0 + $1.scores.shape.elementCount }
    let place = max(total - (Int(Double(total) * threshold) + 1), 1)
    guard total > 0 else { return .nothing }
    let rank = try ScoreRank(place: place) { body throws(FormatError) in
      for grid in grids { try grid.forEachChunk { _, values in body(values) } }
    }
    return ScoreCut(key: rank.key)
  }

  /// The greatest number whose sigmoid, rounded to single precision, is not above a threshold in single precision.
  static func sigmoid(above threshold: Double) -> ScoreCut {
    func isAbove(_ bits: UInt32) -> Bool {
      Float(Kernels.unary(.sigmoid, Double(ScoreKey(bits: bits).value))) > Float(threshold)
    }
    var (low, high) = (ScoreKey(-.infinity).bits, ScoreKey(.infinity).bits)
    if isAbove(low) { return ScoreCut(key: ScoreKey(bits: low - 1)) }
    if !isAbove(high) { return ScoreCut(key: ScoreKey(bits: high)) }
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if isAbove(middle) { high = middle } else { low = middle }
    }
    return ScoreCut(key: ScoreKey(bits: low))
  }

  /// Whether a score keeps; called for the scores of a matrix in row-major order.
  mutating func keeps(_ score: Float) -> Bool {
    let other = ScoreKey(score)
    if other > key { return true }
    guard other == key, ties > 0 else { return false }
    ties -= 1
    return true
  }
}
