/// Which single weights a mask takes out.
public enum WeightRule: Sendable, Hashable {
  /// The share of the smallest magnitudes, of each matrix or of all of them together.
  case magnitude(Double, RankingScope)
  /// Of every `of` consecutive weights along the summed axis, all but the `keeping` largest.
  case pattern(keeping: Int, of: Int)

  /// Reads a pattern such as `2:4`: two of four stay; nil for anything else.
  public init?(pattern text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).compactMap { Int($0) }
    guard parts.count == 2, text.split(separator: ":").count == 2, parts[0] > 0, parts[0] < parts[1], parts[1] <= 256
    else { return nil }
    self = .pattern(keeping: parts[0], of: parts[1])
  }

  var phrase: String {
    switch self {
    case .magnitude(let share, let scope):
      "the smallest \(rounded(share * 100, 1)) % of the weights of "
        + (scope == .layer ? "each matrix" : "all matrices together")
    case .pattern(let keeping, let count):
      "all but the largest \(keeping) of every \(count) weights along the summed axis"
    }
  }
}

/// The magnitude below which weights go, and how many of those that have just it.
struct MagnitudeThreshold {
  /// Magnitudes as bits, which order as numbers do.
  var bits: UInt32 = 0
  /// Weights of just this magnitude that go: the first ones in the order of the file.
  var ties = 0

  /// Finds the threshold that so many of some magnitudes are taken by, reading them twice.
  ///
  /// - Parameter visit: shows every magnitude, in chunks.
  init<Failure: Error>(
    removing count: Int, _ visit: ((UnsafeBufferPointer<Float>) -> Void) throws(Failure) -> Void
  ) throws(Failure) {
    var high = Array(repeating: 0, count: 1 << 16)
    try visit { for value in $0 { high[Int(value.magnitude.bitPattern >> 16)] += 1 } }
    var rest = count
    let bucket = Self.bucket(high, &rest)
    var low = Array(repeating: 0, count: 1 << 16)
    try visit {
      for value in $0 where Int(value.magnitude.bitPattern >> 16) == bucket {
        low[Int(value.magnitude.bitPattern & 0xffff)] += 1
      }
    }
    let place = Self.bucket(low, &rest)
    bits = UInt32(bucket) << 16 | UInt32(place)
    ties = rest
  }

  /// The first place up to which there are more than `rest`, which is left with what that place gives.
  private static func bucket(_ counts: [Int], _ rest: inout Int) -> Int {
    for (place, count) in counts.enumerated() {
      if rest < count { return place }
      rest -= count
    }
    return counts.count - 1
  }
}
