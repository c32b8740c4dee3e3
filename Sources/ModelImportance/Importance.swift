import GraphCompaction
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

/// Scores of every layer's units.
public struct Importance: Sendable {
  /// The scores by layer, in the order of the map.
  public private(set) var layers: [UnitScores]
  /// What was asked for.
  public let request: ImportanceRequest
  /// Things worth knowing, in sentences.
  public private(set) var notes: [String] = []
  /// Whole evaluations of the model that leave-one-out stood for: one for each unit.
  public private(set) var ablations = 0

  /// Scores the units of a map.
  ///
  /// - Parameter inputs: tensors by name for metrics that run the model.
  /// - Throws: `notScorable` where units are of a kind that the metric does not know; what reading weights and running the graph throws.
  /// - Complexity: for `l1` and `l2` one reading of the matrices; for `activation` about one run; for `ablation` one run of what follows a unit's
  ///   layer for every unit.
  public init(
    of map: DimensionMap, _ request: ImportanceRequest, inputs: [String: Tensor] = [:], pool: ThreadPool,
    progress: ((String) -> Void)? = nil
  ) throws {
    self.request = request
    layers = map.layers.map { layer in
      var scores = UnitScores()
      scores.queriesPerGroup = layer.heads?.queriesPerGroup ?? 1
      scores.neuronCount = layer.neurons?.size ?? 0
      scores.neuronGroup = request.neuronGroup
      return scores
    }
    let sets = map.scoredSets(request)
    switch request.metric {
    case .random:
      var random = SplitMix64(state: request.seed)
      for set in sets {
        let scores = set.unitGroups(request).map { _ in Double(random.next() >> 11) / Double(1 << 53) }
        add(scores, groups: set.groups.map { range in range.reduce(0) { $0 + scores[$1] } / Double(range.count) }, set)
      }
    case .l1, .l2:
      let norms = WeightNorms(map: map, request: request, pool: pool)
      for set in sets {
        let (units, groups) = try norms.scores(of: set)
        add(units, groups: groups, set)
      }
      notes += norms.notes(on: sets)
    case .activation:
      let scores = try ContributionScores(map: map, request: request, inputs: inputs, pool: pool).scores(of: sets)
      for (set, found) in zip(sets, scores) { add(found.units, groups: found.groups, set) }
    case .ablation:
      let ablation = try LeaveOneOut(map: map, inputs: inputs, pool: pool)
      let outputs = OutputChange(map.graph, inputs: inputs, reference: ablation.reference)
      for (number, set) in ablation.order(sets).enumerated() {
        progress?("leaving out units of layer \(set.layer), \(number + 1) of \(sets.count)")
        let units = set.unitGroups(request)
        let all = units + set.groups
        var changes: [Double] = []
        try ablation.outputs(of: set.set, without: all) { changes.append(outputs.change(to: $0)) }
        ablations += all.count
        add(Array(changes.prefix(units.count)), groups: Array(changes.dropFirst(units.count)), set)
      }
    }
    if let bad = layers.firstIndex(where: { !($0.heads + $0.groups + $0.neurons).allSatisfy { !$0.isNaN } }) {
      throw CompactionError(
        .notScorable, subject: .layer(bad), expected: "scores that are numbers",
        found: "NaN, from weights or activations that are not finite")
    }
  }

  private mutating func add(_ units: [Double], groups: [Double], _ set: ScoredSet) {
    if set.isHeads {
      layers[set.layer].heads = units
      layers[set.layer].groups = groups
    } else {
      layers[set.layer].neurons = units
    }
  }
}
