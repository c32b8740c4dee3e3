import PollardBase

/// The error that names the real format of a file that is not safetensors, or nil when its first bytes are not known.
///
/// Called only after the header has failed, so no valid file is ever turned away by it.
func recognizedFormat(prefix: [UInt8], fileSize: Int, failure: FormatError) -> FormatError? {
  let headerFailures: [DiagnosticCode<FormatDomain>] = [
    .headerTooShort, .headerTooLarge, .headerOutsideFile, .headerNotUTF8, .headerMalformed,
  ]
  guard headerFailures.contains(failure.code) else { return nil }
  func wrong(_ found: String, _ remedy: String) -> FormatError {
    FormatError(.wrongFormat, found: found, remedy: remedy)
  }
  func begins(_ text: String) -> Bool { prefix.starts(with: text.utf8) }

  if begins("version https://git-lfs") {
    return wrong(
      "a Git LFS pointer\(pointedSize(prefix).map { " to a file of \($0) bytes" } ?? "")",
      "fetch the file itself with \"git lfs pull\"")
  }
  let text = String(decoding: prefix.prefix(64), as: UTF8.self).lowercased().drop { $0.isWhitespace }
  if text.hasPrefix("<!doctype") || text.hasPrefix("<html") || text.hasPrefix("<?xml") {
    return wrong("a web page", "the server sent a page instead of the file; fetch it again, signed in if it is gated")
  }
  if prefix.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
    return wrong(
      "a zip archive, such as a PyTorch or NumPy file", "store it as safetensors")
  }
  if prefix.count > 1, prefix[0] == 0x80, (2...5).contains(prefix[1]) {
    return wrong("a Python pickle, such as an old PyTorch file", "convert the PyTorch checkpoint to safetensors first")
  }
  if begins("GGUF") { return wrong("a GGUF file", "name the .gguf file itself") }
  if prefix.starts(with: [0x93] + Array("NUMPY".utf8)) { return wrong("a NumPy array", "store it as safetensors") }
  if prefix.starts(with: [0x89] + Array("HDF".utf8)) { return wrong("an HDF5 file", "store it as safetensors") }
  if prefix.starts(with: [0x1F, 0x8B]) { return wrong("a gzip archive", "unpack it first") }
  if looksLikeONNX(prefix) { return wrong("an ONNX model", "name the .onnx file itself") }
  if text.hasPrefix("{") {
    return wrong("a JSON text", "name the folder, the .safetensors file or the .safetensors.index.json of the model")
  }
  if prefix.count >= 64, prefix.allSatisfy({ $0 == 0 }) {
    return wrong("zeros at its start", "the download has not finished; fetch the file again")
  }
  return nil
}

/// The size that a Git LFS pointer states.
private func pointedSize(_ prefix: [UInt8]) -> Int? {
  for line in String(decoding: prefix, as: UTF8.self).split(separator: "\n") where line.hasPrefix("size ") {
    return Int(line.dropFirst(5))
  }
  return nil
}

/// Whether bytes begin like an ONNX `ModelProto`: field 1, `ir_version`, a small number, then field 2, 7 or 8.
package func looksLikeONNX(_ prefix: [UInt8]) -> Bool {
  prefix.count > 2 && prefix[0] == 0x08 && (1...32).contains(prefix[1]) && [0x12, 0x3A, 0x42].contains(prefix[2])
}
