/// A tensor by its two names, without layer prefixes and the last part (`weight` or `bias`).
///
/// One name on each side is the rule. Several on one side are the parts that the other side holds joined along the rows, as a fused
/// `attn_qkv` does.
struct GGUFTensorRow: Sendable {
  /// When a tensor is there.
  enum Presence: Sendable, Hashable {
    case never, optional, required
  }

  /// The names in GGUF: `attn_q`.
  var names: [String]
  /// The names in the checkpoint, without base prefix: `self_attn.q_proj`. None for a tensor that has no place there.
  var checkpointNames: [String]
  /// What happens to each part on the way to GGUF; one entry, or as many as there are parts.
  var transforms: [GGUFTransform]
  /// The rows of each part, where there are several.
  var parts: [GGUFPart]
  var weight: Presence
  var bias: Presence
  /// Whether the row only serves to read files that other converters wrote.
  var isAlternative = false
  /// Whether the checkpoint's name never gets the base model's prefix, as that of a head.
  var isHead = false
  /// Whether the tensor stands behind a layer that GGUF does not hold, so that no model reads it.
  var isUnread = false

  /// One tensor.
  init(
    _ name: String, _ checkpointName: String, _ transform: GGUFTransform = .same, weight: Presence = .required,
    bias: Presence = .never, isAlternative: Bool = false, isHead: Bool = false
  ) {
    names = [name]
    checkpointNames = [checkpointName]
    transforms = [transform]
    parts = []
    self.weight = weight
    self.bias = bias
    self.isAlternative = isAlternative
    self.isHead = isHead
  }

  /// One GGUF tensor that is the parts of the checkpoint, joined.
  static func joined(
    _ name: String, _ parts: [(checkpointName: String, part: GGUFPart, transform: GGUFTransform)],
    bias: Presence = .optional, isAlternative: Bool = false
  ) -> GGUFTensorRow {
    var row = GGUFTensorRow(name, "", weight: .required, bias: bias, isAlternative: isAlternative)
    row.checkpointNames = parts.map(\.checkpointName)
    row.parts = parts.map(\.part)
    row.transforms = parts.map(\.transform)
    return row
  }

  /// One tensor of the checkpoint that is several of GGUF, joined.
  static func split(
    _ parts: [(name: String, part: GGUFPart)], _ checkpointName: String, bias: Presence = .never,
    isAlternative: Bool = false
  ) -> GGUFTensorRow {
    var row = GGUFTensorRow("", checkpointName, weight: .required, bias: bias, isAlternative: isAlternative)
    row.names = parts.map(\.name)
    row.parts = parts.map(\.part)
    row.transforms = parts.map { _ in .same }
    return row
  }

  /// A tensor that only GGUF has; it is kept as it is.
  static func only(_ name: String) -> GGUFTensorRow {
    var row = GGUFTensorRow(name, "", weight: .optional, bias: .optional)
    row.checkpointNames = []
    return row
  }

  /// A tensor that only GGUF has, behind a layer that it does not hold.
  static func unread(_ name: String) -> GGUFTensorRow {
    var row = only(name)
    row.isUnread = true
    return row
  }

  /// Whether a name's last part may stand after this row's names.
  func presence(of suffix: String) -> Presence {
    switch suffix {
    case "weight": weight
    case "bias": bias
    default: .never
    }
  }
}

/// How many rows a part of a joined tensor has.
enum GGUFPart: Sendable {
  /// Heads times their width.
  case queries
  /// Key/value heads times the heads' width.
  case keysOrValues
  /// The feed-forward width.
  case neurons

  func rows(_ layer: LayerSummary) -> Int {
    switch self {
    case .queries: layer.heads * layer.headDim
    case .keysOrValues: layer.keyValueHeads * layer.headDim
    case .neurons: layer.feedForward
    }
  }
}
