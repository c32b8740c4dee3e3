/// What is certain about one unit, whatever the model's input.
public enum UnitVerdict: Sendable, Hashable {
  /// It contributes nothing, by the named rule.
  case dead(rule: String)
  /// It contributes the same for every token and input, by the named rule.
  case constant(rule: String)
  /// It may contribute anything.
  case live
  /// A weight it needs is not finite, so that no zero elsewhere proves anything.
  case void
}

/// The verdicts on those units of one kind in one place that were looked at.
struct SetVerdicts: Sendable {
  var units: [Int: UnitVerdict] = [:]
  /// Units whose own activation may not be finite.
  var poisoned: Set<Int> = []
  /// What units that contribute a constant add to each sum over them.
  var constants: [Int: [ConstantTerm]] = [:]
}

/// A term of a sum over units that is the same for every token and input.
struct ConstantTerm: Sendable, Hashable {
  /// The number of the sum among those of the units.
  var contraction: Int
  /// The position on the axis that is summed, counted before any cut.
  var position: Int
  /// The unit's activation there, which the weights at the position multiply.
  var activation: Double
}

/// The verdicts on the units of one layer that were looked at.
struct LayerVerdicts: Sendable {
  var heads = SetVerdicts()
  var neurons = SetVerdicts()
}
