import ModelGraph

/// A value to compare between two graphs while both run.
public struct ComparedValue: Sendable {
  /// What is compared.
  public enum Kind: String, Sendable {
    /// The outputs of a layer's attention heads, before they are projected.
    case heads
    /// A layer's feed-forward neurons.
    case neurons
    /// The hidden state after a layer.
    case state
    /// An output of the model.
    case output
  }

  /// The name in reports, such as `hidden_states.3` or `logits`.
  public var name: String
  /// What it is.
  public var kind: Kind
  /// The layer it belongs to.
  public var layer: Int?
  /// The value in the reference.
  public var reference: ValueID
  /// The value in the other graph.
  public var other: ValueID
  /// The axis of the reference that lost positions; nil for the last.
  public var axis: Int?
  /// The positions along that axis that the other has; nil for all.
  public var positions: [Int]?
  /// The positions along the other's axis that are compared with these; nil for all in order.
  public var otherPositions: [Int]?
  /// The original number of the unit at each of those positions.
  public var units: [Int]?

  /// Creates a value to compare.
  public init(
    name: String, kind: Kind, layer: Int?, reference: ValueID, other: ValueID, axis: Int? = nil,
    positions: [Int]? = nil, otherPositions: [Int]? = nil, units: [Int]? = nil
  ) {
    self.name = name
    self.kind = kind
    self.layer = layer
    self.reference = reference
    self.other = other
    self.axis = axis
    self.positions = positions
    self.otherPositions = otherPositions
    self.units = units
  }
}
