import ModelGraph
import PollardBase

/// What is certain about the units of one layer that were asked about.
public struct UnitVerdicts: Sendable, Hashable {
  /// Verdicts on query heads.
  public var heads: [Int: UnitVerdict]
  /// Verdicts on feed-forward neurons.
  public var neurons: [Int: UnitVerdict]
}

extension DimensionMap {
  /// What is certain about some units of each layer; only their weights are read.
  ///
  /// - Throws: `FormatError` from reading weights.
  public func verdicts(heads: [Set<Int>], neurons: [Set<Int>], pool: ThreadPool) throws -> [UnitVerdicts] {
    precondition(heads.count == layers.count && neurons.count == layers.count, "one set for each layer")
    return try UnitClassifier(map: self, pool: pool).verdicts(zip(heads, neurons).map { ($0, $1) }).map {
      UnitVerdicts(heads: $0.heads, neurons: $0.neurons)
    }
  }
}
