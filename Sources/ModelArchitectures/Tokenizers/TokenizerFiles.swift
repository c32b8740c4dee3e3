import PollardBase

/// The tokenizer files of a Hugging Face folder: bytes by name.
///
/// Names are relative to the folder, with `/` between parts (`additional_chat_templates/tool_use.jinja`).
public struct TokenizerFiles: Sendable {
  /// The bytes of each file.
  public var bytes: [String: [UInt8]]

  /// Takes files that are in memory.
  public init(_ bytes: [String: [UInt8]]) { self.bytes = bytes }

  /// The names that a tokenizer's conversion looks at.
  public static let names = [
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "chat_template.jinja",
    "chat_template.json", "config.json", "generation_config.json", "modules.json", "tekken.json",
  ]

  /// The folder of named chat templates.
  public static let templateFolder = "additional_chat_templates"

  /// Largest file that is read: the largest real ones have some tens of megabytes.
  private static let limit = 256 << 20

  /// Reads the files of a folder that are there.
  ///
  /// - Throws: what reading throws; `malformedTokenizer` for a file above 256 MiB.
  public init(folder: String) throws(FormatError) {
    bytes = [:]
    var names = Self.names
    if let templates = try? Directories.names(in: Paths.join(folder, Self.templateFolder)) {
      names += templates.filter { $0.hasSuffix(".jinja") }.map { Self.templateFolder + "/" + $0 }
    }
    for name in names {
      let path = Paths.join(folder, name)
      guard Directories.kind(of: path) == .file else { continue }
      let source = try FileSource(path: path)
      guard source.size <= Self.limit else {
        throw FormatError(
          .malformedTokenizer, file: path, expected: "at most \(Self.limit) bytes", found: "\(source.size) bytes")
      }
      bytes[name] = try source.bytes(0..<source.size)
    }
  }

  /// Whether a file is there.
  public func has(_ name: String) -> Bool { bytes[name] != nil }

  /// Whether there is any file that holds a vocabulary.
  public var hasVocabulary: Bool {
    ["tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json"]
      .contains(where: has)
  }

  /// A file's JSON value, or nil when there is no such file.
  ///
  /// - Throws: what parsing throws, with the name.
  func json(_ name: String) throws(FormatError) -> JSONValue? {
    guard let content = bytes[name] else { return nil }
    do throws(FormatError) {
      return try JSONValue(parsing: content, allowingNonFinite: true)
    } catch {
      throw error.inFile(name)
    }
  }

  /// A file's JSON object, or nil when there is no such file.
  ///
  /// - Throws: what parsing throws; `malformedTokenizer` when the value is not an object.
  func object(_ name: String) throws(FormatError) -> JSONObject? {
    guard let value = try json(name) else { return nil }
    guard let object = value.objectValue else {
      throw FormatError(.malformedTokenizer, file: name, expected: "an object", found: value.kindDescription)
    }
    return object
  }

  /// A file's text with every line end made a line feed, or nil when there is no such file.
  ///
  /// - Throws: `notUTF8`.
  func text(_ name: String) throws(FormatError) -> String? {
    guard let content = bytes[name] else { return nil }
    if let offset = content.withUnsafeBytes(firstInvalidUTF8Offset) {
      throw FormatError(.notUTF8, file: name, at: .byte(offset))
    }
    var result: [UInt8] = []
    result.reserveCapacity(content.count)
    var previous: UInt8 = 0
    for byte in content {
      if byte == 0x0D {
        result.append(0x0A)
      } else if byte != 0x0A || previous != 0x0D {
        result.append(byte)
      }
      previous = byte
    }
    return String(decoding: result, as: UTF8.self)
  }
}
