/// The counts of one transformer layer.
public struct LayerSummary: Sendable, Hashable {
  /// The layer's number, from 0.
  public var index: Int
  /// Query heads (`num_attention_heads`, `n_head`, `n_heads`, less those in `pruned_heads`).
  public var heads: Int
  /// Key/value heads (`num_key_value_heads`); as many as query heads unless heads share them.
  public var keyValueHeads: Int
  /// The width of one head (`head_dim`).
  public var headDim: Int
  /// Neurons of the feed-forward network (`intermediate_size`, `hidden_dim`, `n_inner`).
  public var feedForward: Int

  /// Creates a summary.
  public init(index: Int, heads: Int, keyValueHeads: Int, headDim: Int, feedForward: Int) {
    self.index = index
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headDim = headDim
    self.feedForward = feedForward
  }
}
