import Pollard

/// Which format an output gets.
enum OutputFormat {
  /// The format that `--to` names, else the one that the output's name says; nil for the input's own.
  ///
  /// - Throws: `UsageError` for a format that is not written.
  static func choose(_ wish: String?, output: String, verb: String) throws -> ModelFormat? {
    guard let wish else { return output.hasSuffix(".onnx") ? .onnx : output.hasSuffix(".gguf") ? .gguf : nil }
    guard let format = ModelFormat(rawValue: wish) else {
      throw UsageError(description: "--to takes safetensors, gguf or onnx, not \(wish)")
    }
    return format
  }
}
