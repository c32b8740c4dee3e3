import CheckpointFormats
import ModelArchitectures
import PollardBase
import TensorStorage

/// The forms in which pruning tools save masks with `torch.save`.
///
/// | form | from | meaning |
/// |------|------|---------|
/// | `{"head_mask": …, "ffn_mask": …}` | a script | as in a safetensors mask file |
/// | `(head_mask, ffn_mask)` | TextPruner, `head_ffn_masks/mask.pt` | `[layers, heads]` and `[layers, neurons]`; either may be None |
/// | `{"head_z": …, "intermediate_z": …}` | CoFi, `zs.pt` | gates of heads and neurons with axes of 1 between; `head_layer_z`, `mlp_z` and `hidden_z` must be ones |
enum TorchMaskConvention {
  /// The masks of a PyTorch file.
  ///
  /// - Throws: `unknownMask` for another form, and for gates that are no masks of heads and neurons.
  static func read(_ file: PyTorchFile, layers: [LayerSummary]) throws -> ArrayMasks {
    let names = file.tensors.map(\.name)
    if case .tuple(let members)? = file.graph[file.graph.root], members.count == 2,
      names.allSatisfy({ $0 == "0" || $0 == "1" })
    {
      let pairs = [("0", "head_mask"), ("1", "ffn_mask")]
      let arrays = try pairs.compactMap { position, name in
        try file.weight(position).map { (name: name, weight: $0) }
      }
      return ArrayMasks(convention: "TextPruner's tuple of head and neuron masks", arrays: arrays)
    }
    if names.contains("head_z") || names.contains("intermediate_z") { return try gates(file, layers) }
    let arrays = try names.compactMap { name in try file.weight(name).map { (name: name, weight: $0) } }
    return ArrayMasks(convention: nil, arrays: arrays)
  }

  /// CoFi's gates: `head_z [layers, 1, heads, 1, 1]`, `intermediate_z [layers, 1, 1, neurons]`, axes of 1 counting for nothing.
  private static func gates(_ file: PyTorchFile, _ layers: [LayerSummary]) throws -> ArrayMasks {
    var result = ArrayMasks(convention: "CoFi's gates", arrays: [])
    for tensor in file.tensors {
      guard let weight = try file.weight(tensor.name) else { continue }
      switch tensor.name {
      case "head_z", "intermediate_z":
        let count = weight.shape.elementCount
        guard !layers.isEmpty, count % layers.count == 0, weight.shape.extents.filter({ $0 != 1 }).count <= 2 else {
          throw CompactionError(
            .maskShape, file: file.source.path, subject: .tensor(tensor.name), expected: "\(layers.count) layers",
            found: "\(weight.shape)")
        }
        let name = tensor.name == "head_z" ? "head_mask" : "ffn_mask"
        result.arrays.append((name, weight.reshaped([layers.count, count / layers.count])))
      default:
        guard weight.type.canBeCast(to: .f32), try weight.cast(to: .f32).floats().allSatisfy({ $0 == 1 }) else {
          throw CompactionError(
            .unknownMask, file: file.source.path, subject: .tensor(tensor.name),
            expected: "gates of heads and neurons, or ones",
            found: "gates of another kind that are not all 1",
            remedy: "multiply them into the weights first; whole layers go with --drop-layers")
        }
      }
    }
    return result
  }
}
