import ModelGraph
import PollardBase

/// What happens to the units of a dimension that belongs to no layer of its own, such as the channels of a convolution.
public struct DimensionPlan: Sendable, Hashable {
  /// The name the map gives it: tensor and axis of the first weight that carries it.
  public var name: String
  /// What it counts.
  public var kind: DimensionKind
  /// The units.
  public var units: UnitPlan

  /// Creates a plan, as a receipt tells it.
  public init(name: String, kind: DimensionKind, units: UnitPlan) {
    self.name = name
    self.kind = kind
    self.units = units
  }
}

extension CompactionPlan {
  /// What happens to units outside of layers: each goes that may; of a dimension without a unit that stays, the first one stays as fill.
  static func plans(
    _ others: [OtherUnits], _ candidates: [OtherCandidates], allowsPadding: Bool, _ blocks: BlockPolicy
  ) throws(CompactionError) -> [DimensionPlan] {
    var result: [DimensionPlan] = []
    for (units, candidates) in zip(others, candidates) {
      var removed = candidates.removed
      var padded = try blocks.held(removed, by: units.blocks, .tensor(units.name), "units")
      for unit in padded { removed[unit] = nil }
      if !allowsPadding, let first = padded.first {
        throw CompactionError(
          .paddingNeeded, subject: .tensor(units.name), expected: "whole blocks of units to go",
          found: "unit \(first) in a block with others", remedy: "allow padding, or choose another mask")
      }
      if removed.count == units.dimension.size {
        guard allowsPadding, units.dimension.kind != .scoreSize else {
          throw CompactionError(
            .paddingNeeded, subject: .tensor(units.name), expected: "one unit to stay",
            found: "a mask that removes all \(units.dimension.size)", remedy: "keep one of them")
        }
        padded = Array(0..<(units.blocks?.count ?? 1))
        for unit in padded { removed[unit] = nil }
      }
      result.append(
        DimensionPlan(
          name: units.name, kind: units.dimension.kind,
          units: UnitPlan(
            before: units.dimension.size, kept: (0..<units.dimension.size).filter { removed[$0] == nil },
            padded: padded,
            removed: removed.values.sorted { $0.index < $1.index }, constant: candidates.constant, void: candidates.void
          ).contradicting(candidates.removed.values)))
    }
    return result
  }
}

/// The units of a dimension outside of layers that may go, and why.
struct OtherCandidates: Sendable {
  var removed: [Int: RemovedUnit] = [:]
  var constant: [Int] = []
  var void: [Int] = []

  init() {}

  /// The units that are proved dead, and what else is known.
  init(_ verdicts: SetVerdicts) {
    for (unit, verdict) in verdicts.units.sorted(by: { $0.key < $1.key }) {
      switch verdict {
      case .dead(let rule): removed[unit] = RemovedUnit(index: unit, reason: .dead, rule: rule)
      case .constant: constant.append(unit)
      case .void: void.append(unit)
      case .live: break
      }
    }
  }
}
