import PollardBase

/// Refuses to replace a folder that does not look like a model: what else is in it is not ours to remove.
///
/// - Throws: `outputExists`.
func requireReplaceable(_ output: String) throws(FormatError) {
  switch Directories.kind(of: output) {
  case nil: return
  case .directory?: break
  default:
    throw FormatError(
      .outputExists, file: output, expected: "a folder or nothing", found: "something else",
      remedy: "choose another output")
  }
  let names = try Directories.names(in: output)
  let isModel = names.contains { name in
    ["config.json", "compaction.json"].contains(name) || name.hasSuffix(".safetensors") || name.hasSuffix(".onnx")
      || name.hasSuffix(".gguf")
  }
  guard names.isEmpty || isModel else {
    throw FormatError(
      .outputExists, file: output, expected: "a folder that holds a model, or an empty one",
      found: names.sorted().prefix(3).joined(separator: ", "), remedy: "choose another output, or empty the folder")
  }
}
