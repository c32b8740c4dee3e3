import CheckpointFormats
import PollardBase
import TensorStorage

extension ImportedGGUFModel {
  /// The same model with fewer residual channels, as a file would hold it.
  ///
  /// Keys other than the width, ε and the size of a head stay as they are; ε is a single-precision number in GGUF.
  ///
  /// - Throws: as `ImportedModel.narrowed(_:allowingRagged:)`, and what reading the result as a model throws.
  /// - Complexity: O(number of tensors); reads only vectors of rotary factors.
  public func narrowed(_ change: WidthChange) throws(FormatError) -> ImportedGGUFModel {
    let narrow = try model.narrowed(change, allowingRagged: true)
    let layers = narrow.layers
    var result = try ImportedGGUFModel(self, reading: narrow).exported(
      graph: narrow.graph, layers: layers, keptHeads: layers.map { Array(0..<$0.heads) })
    func key(_ name: String) -> String { "\(architecture).\(name)" }
    result.metadata.set(key("embedding_length"), to: .uint32(UInt32(clamping: change.kept.count)))
    let epsilon = key("attention.layer_norm_rms_epsilon")
    if change.epsilonFactor != 1, case .float32(let value)? = source.metadata[epsilon] {
      result.metadata.set(epsilon, to: .float32(Float(Double(value) * change.epsilonFactor)))
    }
    if let width = layers.first?.headDim {
      for name in ["attention.key_length", "attention.value_length"] where !result.metadata.contains(key(name)) {
        result.metadata.set(key(name), to: .uint32(UInt32(clamping: width)))
      }
    }
    return try ImportedGGUFModel(result, file: file)
  }

  /// A file with another model in the place of what was read from it.
  private init(_ other: ImportedGGUFModel, reading model: ImportedModel) {
    source = other.source
    architecture = other.architecture
    self.model = model
    loaderRules = other.loaderRules
    notes = other.notes
    family = other.family
    map = other.map
    file = other.file
  }
}
