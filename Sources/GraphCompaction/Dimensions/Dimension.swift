import ModelGraph

/// What a dimension counts.
public enum DimensionKind: String, Sendable, Hashable, CaseIterable {
  /// Attention heads, each with its own keys and values.
  case heads
  /// Key/value heads shared by several query heads.
  case groups
  /// Query heads within each group; with a single key/value head, all query heads.
  case queries
  /// Neurons between two matrices, such as the feed-forward intermediate axis.
  case neurons
  /// Channels of each head's values.
  case valueSize
  /// Channels of each head's queries and keys.
  case scoreSize
}

/// An axis of a constant operand that carries a dimension.
public struct WeightUse: Sendable, Hashable {
  /// The operand.
  public var slot: NodeSlot
  /// The axis.
  public var axis: Int

  /// Creates a use.
  public init(slot: NodeSlot, axis: Int) {
    self.slot = slot
    self.axis = axis
  }
}

/// Axes all over a model that must shrink together. An index of it is a unit.
public struct Dimension: Sendable {
  /// The number in the map, in the order of the model.
  public var id: Int
  /// What it counts.
  public var kind: DimensionKind
  /// The layers whose nodes read its weights, ascending; empty where names say nothing.
  public var layers: [Int]
  /// The number of units.
  public var size: Int
  /// Its class of factors.
  public var factor: FactorID
  /// The axes of constant operands that carry it, in the order of the nodes.
  public var uses: [WeightUse]
  /// The sums through which its units reach the rest of the model.
  public var contractions: [Contraction]
}

/// An axis of weights whose positions must stay, and why.
public struct PinnedAxis: Sendable {
  /// The extent.
  public var size: Int
  /// The layers whose nodes read its weights, ascending.
  public var layers: [Int]
  /// The reasons, without repetition, each with one node that gives it; nil for the graph's own interface.
  public var reasons: [(reason: PinReason, node: String?)]
  /// The number of axes of constant operands that carry it.
  public var useCount: Int
}
