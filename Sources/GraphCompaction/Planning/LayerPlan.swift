/// Why a unit may go.
public enum RemovalClass: String, Sendable, Hashable, CaseIterable {
  /// The weights prove that it contributes nothing.
  case dead
  /// The mask says so.
  case declared
  /// It contributes the same for every token, which a bias takes up.
  case constant
}

/// A unit that is gone from the smaller model.
public struct RemovedUnit: Sendable, Hashable {
  /// The index in the original.
  public var index: Int
  /// Why it may go.
  public var reason: RemovalClass
  /// The rule: H1 … H5 for heads, F1, F2, F3, F5 for neurons of plain and G1, G2, G3, G6 for those of gated feed-forward blocks, C1, C2, C5 for
  /// channels, V and S for value and score sizes. H5, F5, C5, V5 and S5 are the explicit masks.
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
  /// Units that the mask declares off, gone or kept as fill, although the weights do not prove them dead.
  public var contradicted: [Int] = []

  /// The number of units after.
  public var after: Int { kept.count }

  /// Creates the plan of one kind of unit, as a receipt tells it.
  public init(
    before: Int, kept: [Int], padded: [Int] = [], removed: [RemovedUnit] = [], constant: [Int] = [], void: [Int] = [],
    rescaled: [Int: Float] = [:]
  ) {
    self.before = before
    self.kept = kept
    self.padded = padded
    self.removed = removed
    self.constant = constant
    self.void = void
    self.rescaled = rescaled
  }
}

extension UnitPlan {
  /// The plan with what the mask says against the weights.
  func contradicting(_ candidates: some Sequence<RemovedUnit>) -> UnitPlan {
    var plan = self
    plan.contradicted = candidates.filter { $0.reason == .declared }.map(\.index).sorted()
    return plan
  }
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

  /// Creates the plan of a layer's heads, as a receipt tells it; groups follow from the kept heads.
  public init(units: UnitPlan, groupsBefore: Int) {
    self.units = units
    self.groupsBefore = groupsBefore
    let ratio = max(1, units.before / max(1, groupsBefore))
    keptGroups = []
    keptQueries = []
    for head in units.kept {
      if keptGroups.last != head / ratio {
        keptGroups.append(head / ratio)
        keptQueries.append([])
      }
      keptQueries[keptQueries.count - 1].append(head % ratio)
    }
  }
}

/// What happens to one layer.
public struct LayerPlan: Sendable, Hashable {
  /// The layer's number.
  public var index: Int
  /// Its attention heads; nil where none can be removed.
  public var heads: HeadPlan?
  /// Its feed-forward neurons; nil where none can be removed.
  public var neurons: UnitPlan?
  /// The stack it stands in; empty without names.
  public var stack: String
  /// Whether it is a further block of a layer before, which has no neurons rather than neurons that must stay.
  public var isFurtherBlock: Bool

  /// Creates the plan of a layer.
  public init(
    index: Int, heads: HeadPlan?, neurons: UnitPlan?, stack: String = "", isFurtherBlock: Bool = false
  ) {
    self.index = index
    self.stack = stack
    self.isFurtherBlock = isFurtherBlock
    self.heads = heads
    self.neurons = neurons
  }
}
