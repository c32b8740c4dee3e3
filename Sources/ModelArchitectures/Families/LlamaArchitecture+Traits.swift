import PollardBase

extension LlamaArchitecture {
  /// Where a class takes something from that another has or has not.
  enum Switch: Sendable {
    case always, never
    case key(String, default: Bool)

    func isOn(_ config: ConfigurationReader) throws(FormatError) -> Bool {
      switch self {
      case .always: true
      case .never: false
      case .key(let key, let value): try config.flag(key, default: value)
      }
    }
  }

  /// How states are normalised.
  enum Norm: Sendable {
    /// Root mean square, times the weights.
    case rms
    /// Root mean square, times one plus the weights.
    case rmsPlusOne
    /// Mean and variance, with a bias.
    case layer
  }

  /// Which norms queries and keys have before they are turned.
  enum HeadNorm: Sendable {
    case none
    /// One of the family's kind for all heads: `q_norm`, `k_norm` `[headDim]`.
    case shared
    /// Layer norms without bias, one for each head: `q_layernorm.norms.<head>`, if a key is true.
    case ofEachHead(ifKey: String)
  }

  /// How the two halves of a layer follow each other.
  enum Arrangement: Sendable {
    /// A norm before each: `input_layernorm`, `post_attention_layernorm`.
    case inTurn
    /// A norm before and one after each: `input_layernorm`, `post_attention_layernorm`, `pre_feedforward_layernorm`,
    /// `post_feedforward_layernorm`.
    case normedOnBothSides
    /// As `inTurn`, or both from the same norm if a key is true.
    case inTurnUnless(String)
  }

  /// Which layers see only the last keys.
  enum Window: Sendable {
    case none
    /// All of them, `sliding_window` keys unless it is null; nil for a class without windows by default.
    case everywhere(default: Int?)
    /// Those in `layer_types`, or from `max_window_layers` on, if `use_sliding_window`.
    case byLayer
    /// Those in `layer_types`, or all but the last of every `period`, a number that a key may hold.
    case allButLastOf(period: Int, key: String?)
  }

  /// A bound that numbers approach and never reach.
  enum Cap: Sendable {
    case none
    /// A key; null switches the cap off, and so does an absent key without a default.
    case key(String, default: Double?)

    func value(_ config: ConfigurationReader) throws(FormatError) -> Double? {
      guard case .key(let key, let value) = self else { return nil }
      guard config.object[key] != nil else { return value }
      return config.has(key) ? try config.positiveNumber(key) : nil
    }
  }

  /// The width of a head when the configuration does not say.
  enum HeadDim: Sendable {
    case hiddenPerHead
    case constant(Int)
  }

  /// Which numbers of heads a class of transformers takes.
  enum HeadCounts: Sendable {
    /// Any, with an explicit `head_dim`.
    case any
    /// Any in 4.x; in 5.x only divisors of the hidden size.
    case dividingHidden
    /// Any, unless lists of rotary factors, whose length the class derives from the hidden size, are there.
    case anyWithoutFactorLists
    /// The original's: `head_dim` is not read.
    case derived
  }
}
