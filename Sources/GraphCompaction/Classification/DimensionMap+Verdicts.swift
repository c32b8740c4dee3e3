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
    let none = others.map { _ in Set<Int>() }
    return try UnitClassifier(map: self, pool: pool).verdicts(zip(heads, neurons).map { ($0, $1) }, others: none).layers
      .map { UnitVerdicts(heads: $0.heads.units, neurons: $0.neurons.units) }
  }

  /// What is certain about some units outside of layers; only their weights are read.
  ///
  /// - Parameter units: a set for each of `others`.
  /// - Throws: `FormatError` from reading weights.
  public func verdicts(others units: [Set<Int>], pool: ThreadPool) throws -> [[Int: UnitVerdict]] {
    precondition(units.count == others.count, "one set for each dimension")
    let none = layers.map { _ in (heads: Set<Int>(), neurons: Set<Int>()) }
    return try UnitClassifier(map: self, pool: pool).verdicts(none, others: units).others.map(\.units)
  }
}
