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

/// A folder for exported tokenizers, for tools that check them against transformers.
private let exportFolder = getenv("POLLARD_TOKENIZER_EXPORTS").map { String(cString: $0) }

/// A real vocabulary of llama.cpp, which `tools/make-gguf-tokenizers --vocabularies` writes to the folder that the variable
/// POLLARD_TOKENIZER_VOCABULARIES names. Large, so not part of every run.
struct RealVocabulary: Sendable, CustomTestStringConvertible {
  let name: String

  static let root = getenv("POLLARD_TOKENIZER_VOCABULARIES").map { String(cString: $0) }

  static let all: [RealVocabulary] =
    root.flatMap { try? Directories.names(in: $0) }.map { $0.map(RealVocabulary.init) } ?? []

  var testDescription: String { name }

  func content() throws -> JSONValue { try JSONValue(file: Paths.join(#require(Self.root), "\(name)/metadata.json")) }
}

@Suite("GGUF metadata to tokenizer files")
struct TokenizerExportTests {
  private func export(_ name: String, _ metadata: TokenizerMetadata, architecture: String) throws -> TokenizerFiles {
    let exported = try metadata.huggingFaceFiles(architecture: architecture)
    let files = TokenizerFiles(Dictionary(uniqueKeysWithValues: exported.files.map { ($0.name, $0.bytes) }))
    if let exportFolder {
      let folder = Paths.join(exportFolder, name)
      try Directories.create(folder)
      for file in exported.files {
        let output = try AtomicFile(path: Paths.join(folder, file.name), replacing: true)
        try output.file.write(file.bytes)
        try output.commit()
      }
    }
    return files
  }

  @Test("Exported files convert back to the same metadata", arguments: TokenizerCase.all)
  func roundTrip(_ sample: TokenizerCase) throws {
    let original = try sample.metadata()
    let architecture = try #require(try sample.expected()["architecture"]?.stringValue)
    let files = try export("golden/\(sample.name)", original, architecture: architecture)
    let again = try TokenizerMetadata(
      files: files, configuration: sample.configuration(), architecture: architecture)
    for key in [
      "tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type",
      "tokenizer.ggml.merges", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
      "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id", "tokenizer.ggml.seperator_token_id",
      "tokenizer.ggml.mask_token_id", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token",
      "tokenizer.chat_template", "tokenizer.chat_templates", "tokenizer.ggml.pre",
    ] {
      if case .strings(let texts)? = original[key], case .strings(let others)? = again[key] {
        // XLM-R's converter names padding by the id before the one that it gets.
        let pairs = zip(texts, others).filter { !$0.hasPrefix("[PAD") || !$1.hasPrefix("[PAD") }
        #expect(texts.count == others.count && pairs.allSatisfy { $0.utf8.elementsEqual($1.utf8) }, "\(key)")
        continue
      }
      // An id or flag that the original leaves to the loader's default may be named.
      if let value = original[key] { #expect(again[key] == value, "\(key)") }
    }
  }

  @Test(
    "Real vocabularies give the ids that llama.cpp gives, and the digest of their name",
    .enabled(if: !RealVocabulary.all.isEmpty), arguments: RealVocabulary.all)
  func realVocabulary(_ sample: RealVocabulary) throws {
    let content = try sample.content()
    let metadata = try metadata(fromJSON: content["metadata"])
    let architecture = try #require(content["architecture"]?.stringValue)
    let files = try export("real/\(sample.name)", metadata, architecture: architecture)
    let configuration: JSONValue = ["model_type": "", "vocab_size": JSONValue(metadata.tokenCount)]
    guard metadata.string("tokenizer.ggml.model") != "gemma4" else { return }
    let again = try TokenizerMetadata(files: files, configuration: configuration, architecture: architecture)
    // Padding is named by its id, and the converter that wrote BERT's file did not mark unused tokens.
    let differing = zip(again.tokens, metadata.tokens).filter { !$0.utf8.elementsEqual($1.utf8) && !$1.hasPrefix("[") }
    #expect(again.tokenCount == metadata.tokenCount && differing.isEmpty)
    #expect(again["tokenizer.ggml.merges"] == metadata["tokenizer.ggml.merges"])
    guard ["gpt2", "bert"].contains(metadata.string("tokenizer.ggml.model") ?? "") else { return }
    let pre = metadata.string("tokenizer.ggml.pre")
    let encoder = try #require(try TextEncoder(files: files, configuration: configuration))
    for pair in content["texts"]?.arrayValue ?? [] {
      let text = try #require(pair[0]?.stringValue)
      // The encoder takes canonical decomposition as the identity.
      if architecture == "bert",
        text.unicodeScalars.contains(where: {
          (0xC0...0x36F).contains($0.value) || (0x1E00...0x1EFF).contains($0.value)
        })
      {
        continue
      }
      let ids = encoder.identifiers(of: text, addingSpecialTokens: false)
      #expect(ids == pair[1]?.arrayValue?.compactMap(\.intValue), "\(text.debugDescription)")
    }
    guard let pre else { return }
    // Two names share a digest, and one of the files has another vocabulary's tokens.
    let names = ["mpt": "olmo", "bert-bge": "jina-v2-en", "qwen35": "qwen2"]
    #expect(again.string("tokenizer.ggml.pre") == names[pre] ?? pre)
    #expect(again.notes == [])
  }
}
