import ModelArchitectures
import PollardBase
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A tokenizer of golden/gguf-tokenizers: files that transformers reads, and what the reference converter made of them.
struct TokenizerCase: Sendable, CustomTestStringConvertible {
  let name: String

  /// Another folder of such cases may be named by the variable POLLARD_TOKENIZER_CASES.
  static let root =
    getenv("POLLARD_TOKENIZER_CASES").map { String(cString: $0) } ?? Paths.join(golden, "gguf-tokenizers")

  static let all: [TokenizerCase] = ((try? Directories.names(in: root)) ?? []).map(TokenizerCase.init)

  var testDescription: String { name }
  var folder: String { Paths.join(Self.root, name) }

  var stripsAccents: Bool { ["bert-uncased", "bert-text-file"].contains(name) }

  func files() throws -> TokenizerFiles { try TokenizerFiles(folder: folder) }

  func configuration() throws -> JSONValue { try JSONValue(file: Paths.join(folder, "config.json")) }

  func expected() throws -> JSONValue { try JSONValue(file: Paths.join(folder, "expected.json")) }

  func metadata() throws -> TokenizerMetadata {
    try TokenizerMetadata(
      files: files(), configuration: configuration(),
      architecture: #require(expected()["architecture"]?.stringValue))
  }
}

/// Metadata that a script wrote as `[key, type, value]`.
func metadata(fromJSON value: JSONValue?) throws -> TokenizerMetadata {
  let entries = try #require(value?.arrayValue).map { entry in
    TokenizerMetadata.Entry(key: try #require(entry[0]?.stringValue), value: try typedValue(entry))
  }
  return TokenizerMetadata(entries: entries)
}

private func typedValue(_ entry: JSONValue) throws -> TokenizerMetadata.Value {
  let value = try #require(entry[2])
  let elements = value.arrayValue ?? []
  switch try #require(entry[1]?.stringValue) {
  case "str": return .string(try #require(value.stringValue))
  case "u32": return .uint32(UInt32(try #require(value.intValue)))
  case "i32": return .int32(Int32(try #require(value.intValue)))
  case "f32": return .float32(Float(try #require(value.doubleValue)))
  case "bool": return .bool(try #require(value.boolValue as Bool?))
  case "[str]": return .strings(try elements.map { try #require($0.stringValue) })
  case "[f32]": return .floats(try elements.map { Float(try #require($0.doubleValue)) })
  case "[i32]": return .int32s(try elements.map { Int32(try #require($0.intValue)) })
  case "[u8]": return .bytes(try elements.map { UInt8(try #require($0.intValue)) })
  case let other: throw FormatError(.malformedTokenizer, found: other)
  }
}
