import ModelGraph

/// The attention heads of one layer.
///
/// Query head `g · queriesPerGroup + r` is query `r` of group `g`. Plain multi-head attention has one query in each group; with a single
/// key/value head all queries are in one group.
public struct HeadUnits: Sendable {
  /// The dimension that counts groups; nil when there is one group.
  public var groups: Dimension?
  /// The dimension that counts queries within a group; nil when there is one query in each.
  public var queries: Dimension?
  /// Whether groups may keep different queries, as long as they keep equally many.
  public var allowsDifferentQueries: Bool

  /// The number of key/value heads.
  public var groupCount: Int { groups?.size ?? 1 }
  /// The number of query heads that share a key/value head.
  public var queriesPerGroup: Int { queries?.size ?? 1 }
  /// The number of query heads.
  public var count: Int { groupCount * queriesPerGroup }
  /// The sums over the heads.
  public var contractions: [Contraction] { (queries ?? groups)?.contractions ?? [] }
  /// The dimensions, outermost first.
  public var dimensions: [Dimension] { [groups, queries].compactMap { $0 } }
}

/// The units of one layer that can be removed.
public struct LayerUnits: Sendable {
  /// The layer's number.
  public var index: Int
  /// The attention heads; nil where none can be removed.
  public var heads: HeadUnits?
  /// The feed-forward neurons; nil where none can be removed.
  public var neurons: Dimension?

  /// Every dimension of the layer.
  public var dimensions: [Dimension] { (heads?.dimensions ?? []) + [neurons].compactMap { $0 } }
}
