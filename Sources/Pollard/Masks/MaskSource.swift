/// Where the request to remove units comes from.
public enum MaskSource: Sendable, Hashable {
  /// A mask file: safetensors or JSON.
  case file(String)
  /// The zeros that are in the weights, `torch.nn.utils.prune` pairs multiplied out first.
  case zeros
}
