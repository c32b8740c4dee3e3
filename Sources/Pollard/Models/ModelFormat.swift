/// The formats that models are read from and written to.
public enum ModelFormat: String, Sendable, Hashable, CaseIterable {
  /// A Hugging Face directory: safetensors weights and config.json.
  case safetensors
  /// A GGUF file, or the parts of a split one.
  case gguf
  /// An ONNX file, with or without external data.
  case onnx
}
