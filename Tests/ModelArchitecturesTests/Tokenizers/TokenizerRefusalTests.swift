import ModelArchitectures
import PollardBase
import Testing

@Suite("Tokenizers that are refused")
struct TokenizerRefusalTests {
  private func failure(
    _ files: [String: [UInt8]], _ configuration: JSONValue = ["model_type": "llama", "vocab_size": 300],
    architecture: String = "llama"
  ) -> FormatError? {
    do throws(FormatError) {
      _ = try TokenizerMetadata(
        files: TokenizerFiles(files), configuration: configuration, architecture: architecture)
      return nil
    } catch {
      return error
    }
  }

  private func golden(_ name: String) throws -> (files: TokenizerFiles, configuration: JSONValue) {
    let sample = TokenizerCase(name: name)
    return (try sample.files(), try sample.configuration())
  }

  @Test("A folder without a vocabulary is refused with the remedy")
  func nothing() {
    let error = failure(["tokenizer_config.json": Array("{}".utf8)])
    #expect(error?.code == .missingTokenizer)
    #expect(error?.remedy?.contains("copy the tokenizer's files") == true)
  }

  @Test("tekken.json alone is refused by name")
  func tekken() { #expect(failure(["tekken.json": Array("{}".utf8)])?.code == .unsupportedTokenizer) }

  @Test("A WordPiece model is no vocabulary for Llama")
  func otherAlgorithm() throws {
    let (files, _) = try golden("bert-cased")
    #expect(failure(files.bytes)?.code == .unsupportedTokenizer)
  }

  @Test("More tokens than the configuration has rows are refused")
  func tooManyTokens() throws {
    let (files, configuration) = try golden("qwen2")
    let error = failure(files.bytes, configuration.settingKey("vocab_size", to: 322), architecture: "qwen2")
    #expect(error?.code == .vocabularyMismatch)
  }

  @Test("A pre-tokenizer that has no name in GGUF is refused, unless the caller names one")
  func unknownPreTokenizer() throws {
    let (files, configuration) = try golden("qwen2")
    var changed = files
    let text = String(decoding: try #require(files.bytes["tokenizer.json"]), as: UTF8.self)
    let pattern = #"\\p{N}| ?[^"#
    #expect(text.contains(pattern))
    let parts = text.split(separator: pattern, maxSplits: 1, omittingEmptySubsequences: false)
    changed.bytes["tokenizer.json"] = Array("\(parts[0])\\\\p{N}{1,7}| ?[^\(parts[1])".utf8)
    let error = failure(changed.bytes, configuration, architecture: "qwen2")
    #expect(error?.code == .unknownPreTokenizer)
    #expect(error?.remedy?.contains("qwen2") == true)
    let named = try TokenizerMetadata(
      files: changed, configuration: configuration, architecture: "qwen2", preTokenizer: "gpt-2")
    #expect(named.string("tokenizer.ggml.pre") == "gpt-2")
  }

  @Test("A tokenizer that the digests do not know is named by its form, with a note")
  func note() throws {
    let metadata = try TokenizerCase(name: "llama3").metadata()
    #expect(metadata.string("tokenizer.ggml.pre") == "llama-bpe")
    #expect(metadata.notes.count == 1 && metadata.notes[0].contains("\"llama-bpe\""))
  }

  @Test("A negative special id is left out with a note")
  func negativeIdentifier() throws {
    let (files, configuration) = try golden("llama-spm")
    let metadata = try TokenizerMetadata(
      files: files, configuration: configuration.settingKey("pad_token_id", to: -1), architecture: "llama")
    #expect(metadata["tokenizer.ggml.padding_token_id"] == nil)
    #expect(metadata.notes.contains { $0.contains("-1") })
  }

  @Test("A token that occurs twice is noted, because loaders refuse it")
  func duplicate() throws {
    var (files, configuration) = try golden("llama-spm")
    files.bytes["added_tokens.json"] = Array(#"{"<s>": 442}"#.utf8)
    let metadata = try TokenizerMetadata(files: files, configuration: configuration, architecture: "llama")
    #expect(metadata.notes.contains { $0.contains("\"<s>\" occurs twice, as 1 and 442") })
  }

  @Test("Every beginning of a SentencePiece file is refused or read, never a trap")
  func truncatedSentencePiece() throws {
    let (files, configuration) = try golden("t5")
    let whole = try #require(files.bytes["spiece.model"])
    var refused = 0
    for length in 0..<whole.count {
      var cut = files
      cut.bytes["spiece.model"] = Array(whole.prefix(length))
      if failure(cut.bytes, configuration, architecture: "t5") != nil { refused += 1 }
    }
    #expect(refused > whole.count * 9 / 10)
  }

  @Test("Damaged files are refused or read, never a trap", arguments: TokenizerCase.all)
  func damaged(_ sample: TokenizerCase) throws {
    let files = try sample.files()
    let configuration = try sample.configuration()
    let architecture = try #require(try sample.expected()["architecture"]?.stringValue)
    let seed = UInt64.random(in: .min ... .max)
    print("damaged \(sample.name): seed \(seed)")
    var state = seed
    func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % max(limit, 1)
    }
    for _ in 0..<12 {
      var changed = files
      for name in files.bytes.keys.sorted() where name != "expected.json" {
        guard var bytes = changed.bytes[name], !bytes.isEmpty else { continue }
        for _ in 0...next(3) { bytes[next(bytes.count)] = [0x22, 0x5D, 0x30, 0x39, 0xFF, 0x7B, 0x2D, 0x01][next(8)] }
        changed.bytes[name] = bytes
      }
      if let metadata = try? TokenizerMetadata(
        files: changed, configuration: configuration, architecture: architecture)
      {
        _ = try? metadata.huggingFaceFiles(architecture: architecture)
      }
    }
  }
}

@Suite("Tokenizer metadata that cannot be exported")
struct TokenizerExportRefusalTests {
  private func failure(_ entries: [(String, TokenizerMetadata.Value)]) -> FormatError? {
    let metadata = TokenizerMetadata(entries: entries.map { .init(key: $0.0, value: $0.1) })
    do throws(FormatError) {
      _ = try metadata.huggingFaceFiles(architecture: "llama")
      return nil
    } catch {
      return error
    }
  }

  @Test("Metadata without tokens is refused")
  func none() {
    #expect(failure([])?.code == .missingTokenizer)
    #expect(failure([("tokenizer.ggml.model", .string("no_vocab"))])?.code == .missingTokenizer)
  }

  @Test("A model that tokenizer.json has no place for is refused by name")
  func model() {
    let error = failure([("tokenizer.ggml.model", .string("rwkv")), ("tokenizer.ggml.tokens", .strings(["a"]))])
    #expect(error?.code == .unsupportedTokenizer && error?.found == "rwkv")
  }

  @Test("Arrays shorter than the vocabulary and ids outside of it are refused")
  func lengths() {
    let base: [(String, TokenizerMetadata.Value)] = [
      ("tokenizer.ggml.model", .string("llama")), ("tokenizer.ggml.tokens", .strings(["<unk>", "a", "b"])),
    ]
    #expect(failure(base + [("tokenizer.ggml.scores", .floats([0]))])?.code == .malformedTokenizer)
    #expect(failure(base + [("tokenizer.ggml.token_type", .int32s([2, 1]))])?.code == .malformedTokenizer)
    #expect(failure(base + [("tokenizer.ggml.bos_token_id", .uint32(3))])?.code == .malformedTokenizer)
    #expect(failure(base + [("tokenizer.ggml.scores", .floats([0, -1, -2]))]) == nil)
  }

  @Test("A byte-level BPE without merges, and one with an unknown rule, are refused")
  func bytePair() {
    let base: [(String, TokenizerMetadata.Value)] = [
      ("tokenizer.ggml.model", .string("gpt2")), ("tokenizer.ggml.tokens", .strings(["a", "b", "ab"])),
    ]
    #expect(failure(base)?.code == .malformedTokenizer)
    let merged = base + [("tokenizer.ggml.merges", .strings(["a b"]))]
    #expect(failure(merged + [("tokenizer.ggml.pre", .string("nonsense"))])?.code == .unknownPreTokenizer)
    #expect(failure(merged + [("tokenizer.ggml.pre", .string("qwen2"))]) == nil)
  }
}

@Suite("Tokenizer summaries")
struct TokenizerSummaryTests {
  @Test("A summary tells kind, counts, special tokens and templates")
  func summary() throws {
    let summary = try #require(TokenizerSummary(try TokenizerCase(name: "qwen2").metadata()))
    #expect(summary.model == "gpt2" && summary.preTokenizer == "qwen2")
    #expect(summary.tokenCount == 330 && summary.unusedCount == 4)
    #expect(summary.mergeCount > 0)
    #expect(summary.specialTokens.map(\.role) == ["bos", "eos", "pad"])
    #expect(summary.specialTokens.map(\.text) == ["<|endoftext|>", "<|im_end|>", "<|endoftext|>"])
    #expect(summary.addsBeginning == false && summary.hasChatTemplate)
    #expect(TokenizerSummary(TokenizerMetadata()) == nil)
  }

  @Test("Gemma 3 tells how many rows of the embeddings belong to tokens")
  func embeddingRows() throws {
    #expect(try TokenizerCase(name: "gemma3").metadata().embeddingRowCount == 444)
    #expect(try TokenizerCase(name: "gemma").metadata().embeddingRowCount == nil)
  }
}
