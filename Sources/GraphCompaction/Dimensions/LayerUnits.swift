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
  /// The extent of each head's values; nil when it is not a number.
  public var headSize: Int?
  /// The query heads that stay or go together because of packed weights, counted through all groups; nil where each can go by itself.
  public var blocks: UnitBlocks?

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
///
/// A stack is a run of layers that are numbered together. Layers have one list over all stacks: stacks stand one after the other in the order of
/// the graph, and a second attention of the same number (a decoder's cross attention) is in a stack of its own after the first.
public struct LayerUnits: Sendable {
  /// The place in the list of layers, which is the number that masks use.
  public var index: Int
  /// The stack it stands in: `encoder`, `decoder`, `decoder.EncDecAttention`; empty without names.
  public var stack: String
  /// The number within the stack.
  public var number: Int
  /// The attention heads; nil where none can be removed.
  public var heads: HeadUnits?
  /// The feed-forward neurons; nil where none can be removed.
  public var neurons: Dimension?
  /// The neurons that stay or go together because of packed weights; nil where each can go by itself.
  public var neuronBlocks: UnitBlocks?

  /// Whether this is a further block of a layer that is listed before, as a decoder's cross attention is; it may have no neurons at all.
  public var isFurtherBlock = false

  /// Every dimension of the layer.
  public var dimensions: [Dimension] { (heads?.dimensions ?? []) + [neurons].compactMap { $0 } }
}

/// Units that can be removed and belong to no layer of their own: channels, a classifier's hidden layer, heads tied over layers.
public struct OtherUnits: Sendable {
  /// The tensor and axis of the first weight that carries them: `layer1.0.conv1.weight[0]`; unique within the map.
  public var name: String
  /// The dimension.
  public var dimension: Dimension
  /// The units that stay or go together because of packed weights; nil where each can go by itself.
  public var blocks: UnitBlocks?
}
