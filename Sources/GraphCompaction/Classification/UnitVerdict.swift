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
}

/// The verdicts on the units of one layer that were looked at.
struct LayerVerdicts: Sendable {
  var heads = SetVerdicts()
  var neurons = SetVerdicts()
}
