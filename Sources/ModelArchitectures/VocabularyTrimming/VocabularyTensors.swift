import PollardBase
import TensorStorage

/// The tensors that have a row, or an entry, for every token.
enum VocabularyTensors {
  /// Names without the base model's prefix, with the axis that runs over the tokens.
  private static let axes: [String: Int] = [
    // Embeddings.
    "embeddings.word_embeddings.weight": 0, "wte.weight": 0, "embed_tokens.weight": 0, "embed_in.weight": 0,
    "word_embeddings.weight": 0, "shared.weight": 0, "encoder.embed_tokens.weight": 0, "decoder.embed_tokens.weight": 0,
    // Output matrices.
    "cls.predictions.decoder.weight": 0, "lm_head.weight": 0, "lm_head.decoder.weight": 0, "vocab_projector.weight": 0,
    "embed_out.weight": 0,
    // Output biases.
    "cls.predictions.bias": 0, "cls.predictions.decoder.bias": 0, "lm_head.bias": 0, "lm_head.decoder.bias": 0,
    "vocab_projector.bias": 0, "final_logits_bias": 1,
  ]

  /// The number of rows of a table that ids are looked up in; nil for any other parameter.
  static func embeddingRows(_ binding: TensorBinding, basePrefix: String) -> Int? {
    let name = CheckpointTensors.canonicalName(binding.tensor, basePrefix: basePrefix)
    let isHead = ["cls.", "lm_head.", "vocab_projector.", "embed_out.", "final_"].contains(where: name.hasPrefix)
    guard axes[name] == 0, !isHead, binding.storedShape.rank == 2 else { return nil }
    return binding.storedShape[0]
  }

  /// The tensors with the rows of kept tokens alone. Rows are selected, never decoded, so they stay what they are bit for bit.
  ///
  /// - Parameter notes: gains a sentence for a tensor that looks as if it had a row for every token and is not known.
  static func trimmed(
    _ tensors: [NamedTensor], _ kept: KeptTokens, basePrefix: String, unread: Set<String>, notes: inout [String]
  ) -> [NamedTensor] {
    tensors.map { tensor in
      var name = CheckpointTensors.canonicalName(tensor.name, basePrefix: basePrefix)
      for half in ["_orig", "_mask"] where name.hasSuffix(half) { name = String(name.dropLast(half.count)) }
      let shape = tensor.weight.shape
      guard let axis = axes[name] else {
        if unread.contains(tensor.name), shape.extents.contains(kept.before) {
          notes.append("\"\(tensor.name)\" \(shape) is not read and may have a row for every token; it was left alone")
        }
        return tensor
      }
      guard axis < shape.rank, shape[axis] == kept.before, tensor.weight.type.byteCount != nil else { return tensor }
      var result = tensor
      result.weight = tensor.weight.keeping(kept.identifiers, axis: axis)
      return result
    }
  }
}
