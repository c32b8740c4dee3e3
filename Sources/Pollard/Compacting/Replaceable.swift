import PollardBase

/// Refuses to replace a folder that does not look like a model: what else is in it is not ours to remove.
///
/// - Throws: `outputExists`.
func requireReplaceable(_ output: String) throws(FormatError) {
  guard Directories.kind(of: output) == .directory else { return }
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
