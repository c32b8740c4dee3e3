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
  /// Channels between convolutions.
  case channels
  /// Channels of each head's values.
  case valueSize
  /// Channels of each head's queries and keys.
  case scoreSize

  /// Whether removing units is offered without being asked for.
  var isOfferedByDefault: Bool { self != .valueSize && self != .scoreSize }

  /// The letter of the rules by which units are called dead: H1 … for heads, F1 … for neurons, C1 … for channels.
  var ruleLetter: String {
    switch self {
    case .heads, .groups, .queries: "H"
    case .neurons: "F"
    case .channels: "C"
    case .valueSize: "V"
    case .scoreSize: "S"
    }
  }
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
  /// The layers whose nodes read its weights, in the order of the nodes; empty where names say nothing.
  public var labels: [LayerLabel]
  /// The number of units.
  public var size: Int
  /// The neurons or channels that go with one unit, where a format keeps blocks of them together; else 1.
  public var blockSize = 1
  /// Its class of factors.
  public var factor: FactorID
  /// The axes of constant operands that carry it, in the order of the nodes.
  public var uses: [WeightUse]
  /// The sums through which its units reach the rest of the model.
  public var contractions: [Contraction]

  /// The numbers of the layers whose nodes read its weights, ascending.
  public var layers: [Int] { Set(labels.map(\.number)).sorted() }
}

/// Why positions of an axis must stay.
public struct PinnedReason: Sendable, Hashable {
  /// The reason.
  public var reason: PinReason
  /// The node that gives it; nil for the graph's own interface.
  public var node: String?
  /// The graph's inputs or outputs that carry the axis, where it is the interface that holds it.
  public var interface: [String]

  /// A phrase: `normalised over at encoder.layer.0/LayerNormalization`.
  public var text: String {
    if let node { return "\(reason.rawValue) at \(node)" }
    return interface.isEmpty ? reason.rawValue : "\(reason.rawValue) \(interface.joined(separator: ", "))"
  }
}

/// An axis of weights whose positions must stay, and why.
public struct PinnedAxis: Sendable {
  /// The extent.
  public var size: Int
  /// What the positions would count if they could go.
  public var kind: DimensionKind
  /// The layers whose nodes read its weights, in the order of the nodes.
  public var labels: [LayerLabel]
  /// The tensor and axis of the first weight that carries it: `encoder.layer.0.query.weight[1]`.
  public var name: String
  /// The reasons, without repetition, each with the first node that gives it.
  public var reasons: [PinnedReason]
  /// The number of axes of constant operands that carry it.
  public var useCount: Int

  /// The numbers of the layers whose nodes read its weights, ascending.
  public var layers: [Int] { Set(labels.map(\.number)).sorted() }
}
