import GraphCompaction
import PollardBase

/// The scores of one layer's units.
public struct UnitScores: Sendable, Hashable {
  /// Scores of query heads; empty where heads cannot be removed or were not asked for.
  public var heads: [Double] = []
  /// Scores of key/value groups, each with all its query heads; empty where each head has its own keys and values.
  public var groups: [Double] = []
  /// The number of query heads in each key/value group.
  public var queriesPerGroup = 1
  /// Scores of runs of neurons; empty where neurons cannot be removed or were not asked for.
  public var neurons: [Double] = []
  /// The number of neurons of the layer.
  public var neuronCount = 0
  /// The number of neurons in each run but the last.
  public var neuronGroup = 1

  /// What is removed together and scored as one: key/value groups where heads share them, else heads.
  public var headUnits: [Double] { groups.isEmpty ? heads : groups }

  /// The neurons of a run.
  public func neurons(of run: Int) -> Range<Int> {
    run * neuronGroup..<min(neuronCount, (run + 1) * neuronGroup)
  }
}

extension DiagnosticCode where Domain == CompactionDomain {
  /// Units cannot be scored in the way asked for.
  public static let notScorable = Self("notScorable", "units cannot be scored in this way")
}

/// The units of one kind in one layer, and how they are scored.
struct ScoredSet {
  /// The layer's place in the map.
  var layer: Int
  var set: UnitSet

  var isHeads: Bool { if case .heads = set { true } else { false } }

  /// Sets of units by what they score: `units[i]` is the positions' owners that make up score *i*.
  func unitGroups(_ request: ImportanceRequest) -> [Range<Int>] {
    if isHeads { return (0..<set.count).map { $0..<($0 + 1) } }
    let step = request.neuronGroup
    return stride(from: 0, to: set.count, by: step).map { $0..<min(set.count, $0 + step) }
  }

  /// The query heads of each key/value group; empty where each head has its own.
  var groups: [Range<Int>] {
    guard case .heads(let heads) = set, heads.queriesPerGroup > 1 else { return [] }
    let ratio = heads.queriesPerGroup
    return (0..<heads.groupCount).map { $0 * ratio..<($0 + 1) * ratio }
  }
}

extension DimensionMap {
  /// The sets of units that a request speaks of, by layer.
  func scoredSets(_ request: ImportanceRequest) -> [ScoredSet] {
    layers.flatMap { layer in
      var sets: [ScoredSet] = []
      if request.scoresHeads, let heads = layer.heads { sets.append(ScoredSet(layer: layer.index, set: .heads(heads))) }
      if request.scoresNeurons, let neurons = layer.neurons {
        sets.append(ScoredSet(layer: layer.index, set: .single(neurons)))
      }
      return sets
    }
  }
}
