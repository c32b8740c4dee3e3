import Pollard

/// Which format an output gets.
enum OutputFormat {
  /// The format that `--to` names, else ONNX when the output's name says so; nil for the input's own.
  ///
  /// - Throws: `UsageError` for a format that is not written.
  static func choose(_ wish: String?, output: String, verb: String) throws -> ModelFormat? {
    guard let wish else { return output.hasSuffix(".onnx") ? .onnx : nil }
    guard let format = ModelFormat(rawValue: wish) else {
      throw UsageError(description: "\(verb) --to \(wish) does not work yet; safetensors and onnx do")
    }
    return format
  }
}
