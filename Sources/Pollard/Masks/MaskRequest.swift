import CheckpointFormats
import GraphCompaction
import PollardBase
import TensorStorage

/// How units are scored.
public typealias ImportanceMetric = GraphCompaction.ImportanceMetric

/// Among which units the least important are looked for.
public enum RankingScope: String, Sendable, Hashable {
  /// The same amount in each layer.
  case layer
  /// The least important of the whole model.
  case global
}

/// An amount of units: a share or a number.
public enum UnitAmount: Sendable, Hashable {
  /// A share of the units, from 0 to 1.
  case share(Double)
  /// A number of units.
  case count(Int)

  /// Reads `25%` or `3`; nil for anything else.
  public init?(_ text: String) {
    if text.hasSuffix("%") {
      guard let percent = Double(text.dropLast()), (0...100).contains(percent) else { return nil }
      self = .share(percent / 100)
    } else {
      guard let count = Int(text), count >= 0 else { return nil }
      self = .count(count)
    }
  }

  /// The number of units of a total, never more than asked for.
  func units(of total: Int) -> Int {
    switch self {
    case .share(let share): min(total, Int((share * Double(total) + 1e-9).rounded(.down)))
    case .count(let count): min(total, count)
    }
  }
}

/// What a mask is to remove.
public struct MaskRequest: Sendable, Hashable {
  /// Heads to remove, in each layer or per layer on average; nil for none.
  public var heads: UnitAmount?
  /// Neurons to remove likewise.
  public var feedForward: UnitAmount?
  /// The score.
  public var metric: ImportanceMetric
  /// Among which units the least important are looked for.
  public var scope: RankingScope
  /// The seed of random scores.
  public var seed: UInt64

  /// Creates a request.
  public init(
    heads: UnitAmount? = nil, feedForward: UnitAmount? = nil, metric: ImportanceMetric = .l2,
    scope: RankingScope = .layer,
    seed: UInt64 = 0
  ) {
    self.heads = heads
    self.feedForward = feedForward
    self.metric = metric
    self.scope = scope
    self.seed = seed
  }
}

/// Chooses the least important units of each layer, leaving at least one.
enum LeastImportant {
  /// The units to remove, by layer.
  static func choose(_ scores: [[Double]], _ amount: UnitAmount?, _ scope: RankingScope) -> [Set<Int>] {
    guard let amount else { return scores.map { _ in [] } }
    switch scope {
    case .layer:
      return scores.map { scores in
        let count = min(amount.units(of: scores.count), max(0, scores.count - 1))
        return Set(scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }.prefix(count))
      }
    case .global:
      let total = scores.reduce(0) { $0 + $1.count }
      var rest: Int
      switch amount {
      case .share: rest = amount.units(of: total)
      case .count(let perLayer): rest = min(total, perLayer.multipliedReportingOverflow(by: scores.count).partialValue)
      }
      var chosen: [Set<Int>] = scores.map { _ in [] }
      let ranked = scores.indices.flatMap { layer in scores[layer].indices.map { (layer: layer, unit: $0) } }
        .sorted { (scores[$0.layer][$0.unit], $0.layer, $0.unit) < (scores[$1.layer][$1.unit], $1.layer, $1.unit) }
      for (layer, unit) in ranked where rest > 0 && chosen[layer].count + 1 < scores[layer].count {
        chosen[layer].insert(unit)
        rest -= 1
      }
      return chosen
    }
  }
}
