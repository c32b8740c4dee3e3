import GraphCompaction
import ModelImportance
import PollardBase

/// How units are scored.
public typealias ImportanceMetric = ModelImportance.ImportanceMetric
/// Which weights of a unit count.
public typealias WeightSlices = ModelImportance.WeightSlices
/// How the size of a unit's contribution is taken.
public typealias ContributionNorm = ModelImportance.ContributionNorm
/// The scores of one layer's units.
public typealias UnitScores = ModelImportance.UnitScores

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
  /// Which weights count, for `l1` and `l2`.
  public var slices: WeightSlices
  /// How a contribution's size is taken, for `activation`.
  public var norm: ContributionNorm
  /// Among which units the least important are looked for.
  public var scope: RankingScope
  /// The seed of random scores and of random inputs.
  public var seed: UInt64
  /// Neurons that are scored and go together; nil for one, and for 64 by ablation.
  public var neuronGroup: Int?
  /// Whether all units of a kind may go from a layer; else one stays.
  public var emptiesLayers: Bool
  /// A safetensors file with inputs, for metrics that run the model; nil for random tokens.
  public var inputs: String?
  /// Sequences of random tokens.
  public var batch: Int
  /// Tokens in each.
  public var length: Int

  /// Creates a request.
  public init(
    heads: UnitAmount? = nil, feedForward: UnitAmount? = nil, metric: ImportanceMetric = .l2,
    slices: WeightSlices = .output, norm: ContributionNorm = .l2, scope: RankingScope = .layer, seed: UInt64 = 0,
    neuronGroup: Int? = nil, emptiesLayers: Bool = false, inputs: String? = nil, batch: Int = 8, length: Int = 32
  ) {
    self.heads = heads
    self.feedForward = feedForward
    self.metric = metric
    self.slices = slices
    self.norm = norm
    self.scope = scope
    self.seed = seed
    self.neuronGroup = neuronGroup
    self.emptiesLayers = emptiesLayers
    self.inputs = inputs
    self.batch = batch
    self.length = length
  }

  /// The scores that it needs. Random numbers are drawn for every unit, so that a seed stands for one order whatever is asked for.
  var importance: ImportanceRequest {
    ImportanceRequest(
      metric: metric, slices: slices, norm: norm, seed: seed, scoresHeads: heads != nil || metric == .random,
      scoresNeurons: feedForward != nil || metric == .random, neuronGroup: neuronGroup ?? (metric == .ablation ? 64 : 1)
    )
  }
}
