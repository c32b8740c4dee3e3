/// Where the request to remove units comes from.
public enum MaskSource: Sendable, Hashable {
  /// A mask file: JSON, or arrays in safetensors, NumPy or PyTorch. One that masks parameters is also given to `Model.masked(by:)`.
  case file(String)
  /// The zeros that are in the weights, `torch.nn.utils.prune` pairs multiplied out first.
  case zeros
}
