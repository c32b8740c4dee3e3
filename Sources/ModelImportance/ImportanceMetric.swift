/// How units are scored; the least important go first.
public enum ImportanceMetric: String, Sendable, Hashable, CaseIterable {
  /// The sum of magnitudes of a unit's weights.
  case l1
  /// The square root of the sum of squares of a unit's weights.
  case l2
  /// The mean size, over the valid positions of given inputs, of what the unit adds to the stream.
  ///
  /// With `a[p, u]` what the unit computes at position *p* (a head's context, a neuron's activation) and `W[u]` the weights that read it, the
  /// contribution is `c[p] = a[p, u] · W[u]`, one number for each channel of the stream, and the score
  ///
  /// - `ContributionNorm.l2`: `mean_p sqrt(Σ_channels c[p]²)`;
  /// - `ContributionNorm.l1`: `mean_p mean_channels |c[p]|`.
  ///
  /// Source: Muralidharan et al. 2024, "Compact language models via pruning and knowledge distillation", section 2.2, whose scores are the same
  /// without `W`; weighing activations with the weights that read them is Sun et al. 2023, "A simple and effective pruning approach for large
  /// language models", equation 1.
  case activation
  /// How far the outputs move, over the valid positions of given inputs, when the unit alone is taken out: exactly, by running the rest.
  ///
  /// With `y` an output and `y'` the same without the unit, over outputs of floating-point numbers other than caches:
  /// `sqrt(mean_outputs (‖y' − y‖₂ / ‖y‖₂)²)`.
  ///
  /// Source: Michel, Levy & Neubig 2019, "Are sixteen heads really better than one?", section 3, with outputs in the place of a score.
  case ablation
  /// A number drawn from a seed.
  case random

  /// Whether scores depend on inputs.
  public var needsInputs: Bool { self == .activation || self == .ablation }
}

/// Which weights of a unit count for `l1` and `l2`.
public enum WeightSlices: String, Sendable, Hashable, CaseIterable {
  /// Those that read the unit: a head's columns of the output projection, a neuron's of the down projection.
  case output
  /// Those that make it as well: a head's rows of queries, keys and values, those of its group in a grouped layer; a neuron's rows of gate and up.
  case all
}

/// How a contribution's size is taken.
public enum ContributionNorm: String, Sendable, Hashable, CaseIterable {
  /// The mean of magnitudes over channels.
  case l1
  /// The square root of the sum of squares over channels.
  case l2
}

/// What is to be scored, and how.
public struct ImportanceRequest: Sendable, Hashable {
  /// The metric.
  public var metric: ImportanceMetric
  /// Which weights count, for `l1` and `l2`.
  public var slices: WeightSlices
  /// How the size of a contribution is taken, for `activation`.
  public var norm: ContributionNorm
  /// The seed, for `random`.
  public var seed: UInt64
  /// Whether heads are scored.
  public var scoresHeads: Bool
  /// Whether neurons are scored.
  public var scoresNeurons: Bool
  /// Neurons that are scored, and go, together: runs of so many by number, the last one shorter.
  public var neuronGroup: Int

  /// Creates a request.
  public init(
    metric: ImportanceMetric = .l2, slices: WeightSlices = .output, norm: ContributionNorm = .l2, seed: UInt64 = 0,
    scoresHeads: Bool = true, scoresNeurons: Bool = true, neuronGroup: Int = 1
  ) {
    precondition(neuronGroup > 0, "groups hold at least one neuron")
    self.metric = metric
    self.slices = slices
    self.norm = norm
    self.seed = seed
    self.scoresHeads = scoresHeads
    self.scoresNeurons = scoresNeurons
    self.neuronGroup = neuronGroup
  }
}
