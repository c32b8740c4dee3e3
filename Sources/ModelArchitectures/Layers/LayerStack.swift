import PollardBase

/// Layers that follow each other, numbered from 0 in the names of their tensors.
struct LayerStack: Sendable, Hashable {
  /// What stands before the layer's number in tensor names: `encoder.layer.`.
  var prefix: String
  /// The configuration's key for the number of layers.
  var countKey: String
  /// A key that takes the other one's place where the configuration has it.
  var preferredKey: String? = nil
  /// A key whose number counts where the stack's own is absent.
  var fallbackKey: String? = nil
  /// The number of layers where no key tells it.
  var defaultCount: Int
  /// Ends of tensor names that only layer 0 has and that serve the whole stack.
  var sharedSuffixes: [String] = []

  /// The key that a configuration tells the number of layers by.
  func key(in config: ConfigurationReader) -> String {
    preferredKey.flatMap { config.has($0) ? $0 : nil } ?? countKey
  }
}

extension Architecture {
  /// One stack in the newer families' spelling.
  var layerStacks: [LayerStack] { [LayerStack(prefix: "layers.", countKey: "num_hidden_layers", defaultCount: 32)] }

  func explicitLayerTypes(_ config: ConfigurationReader) throws(FormatError) -> [String]? { nil }

  func layerNumberDependence(_ config: ConfigurationReader) throws(FormatError) -> String? { nil }
}
