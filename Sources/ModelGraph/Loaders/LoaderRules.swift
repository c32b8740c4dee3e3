/// What the stock loaders of a model's format accept after units are removed, as plain values.
///
/// The rules come from the architecture; compaction reads them without knowing which architecture they describe.
public struct LoaderRules: Sendable, Hashable {
  /// One row per loader, and one more for each other class under which a loader takes the same function.
  public var rows: [LoaderRule]

  /// Creates rules.
  public init(_ rows: [LoaderRule]) { self.rows = rows }
}

/// What one loader accepts.
public struct LoaderRule: Sendable, Hashable {
  /// The loader's name, as given to `--for`: `transformers-4`, `transformers-5`, `llama.cpp`, `onnxruntime`, `vllm`.
  public var loader: String
  /// The `model_type` under which the result would be written instead of the original's; nil for the original's own.
  public var carrier: String?
  /// Whether the loader opens this format at all; nil when no test has seen it do so, with the reason.
  public var opens: Bool?
  /// What the loader can hold of removed heads.
  public var heads: CountCapability
  /// What the loader can hold of removed feed-forward neurons.
  public var feedForward: CountCapability
  /// Why the loader cannot do more, and what would help; shown in the loader table.
  public var remark: String

  /// Creates a row.
  public init(
    loader: String, carrier: String? = nil, opens: Bool?, heads: CountCapability, feedForward: CountCapability,
    remark: String = ""
  ) {
    self.loader = loader
    self.carrier = carrier
    self.opens = opens
    self.heads = heads
    self.feedForward = feedForward
    self.remark = remark
  }
}

/// Which counts of a kind of unit a loader can hold.
public enum CountCapability: Sendable, Hashable {
  /// Only the original count.
  case fixed
  /// One count for all layers, any that keeps groups whole.
  case uniform
  /// One count for all layers that divides a number, such as the hidden size.
  case uniformDividing(Int)
  /// One count for all layers, and in all layers of a stack the same units, because they read a table together;
  /// further blocks of a layer read none.
  case uniformAlike
  /// Another count in each layer, at least one.
  case perLayer
}
