import PollardBase

extension GGUFFile {
  /// Whether a file begins with the letters of the format. False when it cannot be read.
  public static func recognizes(path: String) -> Bool {
    guard let source = try? FileSource(path: path), let prefix = try? source.bytes(0..<min(4, source.size)) else {
      return false
    }
    return prefix == Array("GGUF".utf8)
  }
}

/// The error that names what a file is that is no GGUF file, or nil when its first bytes are not known.
func recognizedOtherThanGGUF(_ source: FileSource, failure: FormatError) throws(FormatError) -> FormatError? {
  guard failure.code == .notGGUF else { return nil }
  let prefix = try source.bytes(0..<min(source.size, 512))
  // Files in the format GGUF came from, and those before it, begin with these words in either byte order.
  let older = ["ggml", "ggmf", "ggjt", "ggla", "lmgg", "fmgg", "tjgg", "algg"]
  if older.contains(where: { prefix.starts(with: $0.utf8) }) {
    return FormatError(
      .notGGUF, found: "a file in a format before GGUF", remedy: "convert the original model with a current converter")
  }
  let asked = FormatError(.headerMalformed)
  if let known = recognizedFormat(prefix: prefix, fileSize: source.size, failure: asked) {
    return FormatError(.notGGUF, found: known.found, remedy: known.found?.contains("LFS") == true ? known.remedy : nil)
  }
  let length = prefix.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  if prefix.count > 8, prefix[8] == UInt8(ascii: "{"), length <= UInt64(source.size) {
    return FormatError(.notGGUF, found: "a safetensors file", remedy: "name it by .safetensors")
  }
  return nil
}
