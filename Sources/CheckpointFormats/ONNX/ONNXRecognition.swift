import PollardBase

/// The error that names what a file is that is no ONNX model, or nil when its first bytes are not known.
///
/// Called only after reading has failed, so no valid model is ever turned away by it.
func recognizedOtherThanONNX(_ source: FileSource, failure: FormatError) throws(FormatError) -> FormatError? {
  let failures: [DiagnosticCode<FormatDomain>] = [
    .protobufMalformed, .notONNX, .nestedTooDeeply, .messageTooLarge, .tooManyRecords,
  ]
  guard failures.contains(failure.code) else { return nil }
  let prefix = try source.bytes(0..<min(source.size, 512))
  func begins(_ bytes: [UInt8], at offset: Int = 0) -> Bool { prefix.dropFirst(offset).starts(with: bytes) }
  let text = String(decoding: prefix.prefix(64), as: UTF8.self).lowercased().drop { $0.isWhitespace }
  let isText = text.hasPrefix("<!doctype") || text.hasPrefix("<html") || text.hasPrefix("<?xml")
  let lengthOfHeader = prefix.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  let known: [(Bool, found: String, remedy: String)] = [
    (prefix.isEmpty, "an empty file", "fetch or export the model again"),
    (
      begins(Array("version https://git-lfs".utf8)), "a Git LFS pointer", "fetch the file itself with \"git lfs pull\""
    ),
    (isText, "a web page", "the server sent a page instead of the file; fetch it again, signed in if it is gated"),
    (begins(Array("ORTM".utf8), at: 4), "a model in ONNX Runtime's own format", "use the .onnx file it was made from"),
    (begins(Array("GGUF".utf8)), "a GGUF file", "name it by .gguf"),
    (begins([0x50, 0x4B, 0x03, 0x04]), "a zip archive, such as a PyTorch file", "export the model to ONNX first"),
    (begins([0x1F, 0x8B]), "a gzip archive", "unpack it first"),
    (
      begins(Array("{".utf8), at: 8) && lengthOfHeader <= UInt64(source.size), "a safetensors file",
      "name it by .safetensors"
    ),
    (text.hasPrefix("{") || text.hasPrefix("ir_version"), "a text", "export the model in ONNX's binary form"),
    (
      prefix.count >= 64 && prefix.allSatisfy { $0 == 0 }, "zeros at its start",
      "the download has not finished; fetch the file again"
    ),
  ]
  guard let match = known.first(where: \.0) else { return nil }
  return FormatError(.notONNX, found: match.found, remedy: match.remedy)
}
