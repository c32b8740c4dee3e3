/// How many units of a kind the layers keep relative to each other.
public enum CompactionShape: String, Sendable, Hashable, CaseIterable {
  /// Whatever the best loader holds, for each kind of unit.
  case auto
  /// Each layer keeps what it keeps.
  case ragged
  /// Every layer keeps as many as the layer that needs most.
  case uniform
}

/// What a caller wants of a compaction.
public struct CompactionRequest: Sendable, Hashable {
  /// The units to remove; nil to remove those that the weights prove dead.
  public var mask: UnitMask?
  /// The counts relative to each other.
  public var shape: CompactionShape
  /// The only loader that counts; nil for the best of all that are described.
  public var loader: String?
  /// Feed-forward counts are filled up to a multiple of this, at most to the original count. Head counts are not touched: they are small.
  ///
  /// A multiple of the length of the blocks of packed weights also allows units that asked to go to stay as fill until whole blocks go.
  public var roundTo: Int
  /// Whether packed weights may be rounded anew where a cut goes through their blocks.
  public var requantizes: Bool
  /// Whether weights that are packed in blocks are written so; where they are written as single numbers, blocks hold nothing together.
  public var writesBlocks: Bool
  /// Whether units that asked to go may stay as fill, with zero consumer weights, where counts demand it.
  public var allowsPadding: Bool
  /// Whether the result may be written for another, more permissive class that computes the same function.
  public var allowsRetarget: Bool
  /// Whether units that contribute a constant go, and a bias takes up what they contribute: equal up to rounding.
  public var folds = false
  /// Whether a bias may be put where there is none, as in a graph; a checkpoint's class has its places.
  public var addsBiases = false
  /// Whether a mask that removes nine tenths of all units, none of them zero, is taken at its word.
  public var allowsNearlyEverything: Bool

  /// Creates a request; the defaults are those of the command line.
  public init(
    mask: UnitMask? = nil, shape: CompactionShape = .auto, loader: String? = nil, roundTo: Int = 1,
    requantizes: Bool = false, writesBlocks: Bool = true, allowsPadding: Bool = true, allowsRetarget: Bool = false,
    allowsNearlyEverything: Bool = false
  ) {
    self.mask = mask
    self.shape = shape
    self.loader = loader
    self.roundTo = roundTo
    self.requantizes = requantizes
    self.writesBlocks = writesBlocks
    self.allowsPadding = allowsPadding
    self.allowsRetarget = allowsRetarget
    self.allowsNearlyEverything = allowsNearlyEverything
  }
}
