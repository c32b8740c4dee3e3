/// The tokens of a vocabulary that stay when the others' rows are removed.
///
/// Kept ids ascend, so the new id of a token is its place among them.
public struct KeptTokens: Sendable, Hashable {
  /// The number of rows in the original, `V`; ids lie below it.
  public let before: Int
  /// The kept ids of the original, ascending; at least one.
  public let identifiers: [Int]

  /// Nil unless there is an id, all of them ascend, and all lie below `before`.
  public init?(before: Int, identifiers: [Int]) {
    guard let first = identifiers.first, let last = identifiers.last, first >= 0, last < before,
      zip(identifiers, identifiers.dropFirst()).allSatisfy({ $0 < $1 })
    else { return nil }
    self.before = before
    self.identifiers = identifiers
  }

  /// The number of tokens that stay.
  public var count: Int { identifiers.count }

  /// The new id of a token of the original; nil when its row goes.
  ///
  /// - Complexity: O(log n).
  public func newIdentifier(of id: Int) -> Int? {
    var low = 0
    var high = identifiers.count
    while low < high {
      let middle = (low + high) / 2
      if identifiers[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low < identifiers.count && identifiers[low] == id ? low : nil
  }

  /// The kept ids as ranges, as a receipt has them.
  public var ranges: [ClosedRange<Int>] {
    var result: [ClosedRange<Int>] = []
    for id in identifiers {
      if let last = result.last, last.upperBound + 1 == id {
        result[result.count - 1] = last.lowerBound...id
      } else {
        result.append(id...id)
      }
    }
    return result
  }
}

/// Why a token stays.
public enum TokenReason: String, Sendable, CaseIterable {
  /// It was asked for.
  case requested
  /// It is a special or an added token, or the one for what is unknown.
  case special
  /// A configuration names its id.
  case configuration
  /// It stands for a byte, so that every text has tokens.
  case bytes
  /// A kept token is merged from it.
  case merges
  /// Its score is the lowest or the highest, which the score of unknown text follows from.
  case scores
  /// It lies below the padding token, whose id the positions count from.
  case positions
}
