import ModelGraph
import PollardBase

extension ImportedGGUFModel {
  /// The architecture that carries a model of another one, such as `deci` for Llama; nil for a model under its own.
  public var carrier: String? {
    let offered = (try? LoaderRules.gguf(converting: model).rows.compactMap(\.carrier)) ?? []
    return offered.contains(architecture) ? architecture : nil
  }
}
