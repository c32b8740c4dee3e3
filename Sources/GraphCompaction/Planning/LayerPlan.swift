/// Why a unit may go.
public enum RemovalClass: String, Sendable, Hashable, CaseIterable {
  /// The weights prove that it contributes nothing.
  case dead
  /// The mask says so.
  case declared
}

/// A unit that is gone from the smaller model.
public struct RemovedUnit: Sendable, Hashable {
  /// The index in the original.
  public var index: Int
  /// Why it may go.
  public var reason: RemovalClass
  /// The rule: H1 … H5 for heads, F1, F2, F5 for neurons of plain and G1 … G3 for those of gated feed-forward blocks. H5 and F5 are the
  /// explicit masks.
  public var rule: String

  /// Creates the record of a removed unit.
  public init(index: Int, reason: RemovalClass, rule: String) {
    self.index = index
    self.reason = reason
    self.rule = rule
  }
}

/// What happens to the units of one kind in one layer. All lists ascend and count in the original.
public struct UnitPlan: Sendable, Hashable {
  /// The number of units before.
  public var before: Int
  /// The units that the smaller model holds, fill included.
  public var kept: [Int]
  /// Those of `kept` that asked to go and stay as fill: the weights that read them are zero.
  public var padded: [Int]
  /// The units that are gone.
  public var removed: [RemovedUnit]
  /// Units that contribute a constant; they stay, because taking them out would need the constant added elsewhere.
  public var constant: [Int]
  /// Units whose weights are not finite, so that zeros prove nothing; they stay.
  public var void: [Int]
  /// Units that stay with the weights that read them multiplied.
  public var rescaled: [Int: Float]

  /// The number of units after.
  public var after: Int { kept.count }
}

/// What happens to the attention heads of one layer.
public struct HeadPlan: Sendable, Hashable {
  /// The query heads.
  public var units: UnitPlan
  /// The number of key/value heads before.
  public var groupsBefore: Int
  /// The key/value heads that stay, ascending.
  public var keptGroups: [Int]
  /// For each of them the queries that stay, counted within the group; equally many in each.
  public var keptQueries: [[Int]]

  /// The number of query heads that share a key/value head afterwards.
  public var queriesPerGroup: Int { keptQueries.first?.count ?? 0 }
}

/// What happens to one layer.
public struct LayerPlan: Sendable, Hashable {
  /// The layer's number.
  public var index: Int
  /// Its attention heads; nil where none can be removed.
  public var heads: HeadPlan?
  /// Its feed-forward neurons; nil where none can be removed.
  public var neurons: UnitPlan?
}
