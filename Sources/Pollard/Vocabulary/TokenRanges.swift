import ModelArchitectures
import PollardBase

/// The kept tokens of a receipt, as ranges: they are only counted out once their number is known to be that of a real table.
public struct TokenRanges: Sendable, Hashable {
  /// The number of rows in the original.
  public let before: Int
  /// The number of tokens that stay.
  public let count: Int
  /// The kept ids, ascending and apart from each other.
  public let ranges: [ClosedRange<Int>]

  /// The value of `vocabulary` in a receipt; nil where it makes no sense.
  init?(receipt value: JSONValue) {
    guard let before = value["before"]?.intValue, let list = value["ranges"]?.arrayValue,
      let count = value["kept"]?.intValue, (1...(1 << 28)).contains(before)
    else { return nil }
    var ranges: [ClosedRange<Int>] = []
    var total = 0
    for range in list {
      guard let low = range[0]?.intValue, let high = range[1]?.intValue, range[2] == nil,
        low > ranges.last?.upperBound ?? -1, low <= high, high < before
      else { return nil }
      ranges.append(low...high)
      total += high - low + 1
    }
    guard total == count, count > 0 else { return nil }
    self.before = before
    self.count = count
    self.ranges = ranges
  }

  /// The tokens, counted out.
  ///
  /// - Complexity: O(count), in memory too.
  public var tokens: KeptTokens? { KeptTokens(before: before, identifiers: ranges.flatMap { Array($0) }) }
}
