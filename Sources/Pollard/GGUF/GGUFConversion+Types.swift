import CheckpointFormats
import ModelArchitectures
import PollardBase
import TensorStorage

extension WeightType {
  /// The same type or mix as GGUF is asked for it.
  var ggufType: GGUFTypeRequest { GGUFTypeRequest(rawValue: rawValue) ?? .auto }
}

extension GGUFTypeRequest {
  /// The type that loses nothing of tensors: single precision where a matrix is stored so, else what `auto` chooses.
  static func lossless(_ tensors: some Sequence<Weight>) -> GGUFTypeRequest {
    tensors.contains { $0.shape.rank >= 2 && ($0.storedType == .f32 || $0.storedType == .f64) } ? .f32 : .auto
  }
}

extension GGUFModel {
  /// Adds the record of a compaction.
  mutating func set(receipt: [UInt8]?) {
    if let receipt { metadata.set(receiptKey, to: .string(String(decoding: receipt, as: UTF8.self))) }
  }
}
