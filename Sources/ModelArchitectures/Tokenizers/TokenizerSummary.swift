/// What a person wants to know of a tokenizer at a glance.
public struct TokenizerSummary: Sendable, Equatable {
  /// The kind in GGUF's spelling: `llama` (SentencePiece), `gpt2` (byte-level BPE), `bert` (WordPiece), `t5` (Unigram), …
  public var model: String
  /// How texts are split before that, in GGUF's spelling.
  public var preTokenizer: String?
  /// The number of ids.
  public var tokenCount: Int
  /// How many of them are only there to fill the embeddings.
  public var unusedCount: Int
  /// The number of merges.
  public var mergeCount: Int
  /// The special tokens by role (`bos`, `eos`, `eot`, `unk`, `sep`, `pad`, `mask`) with their texts.
  public var specialTokens: [SpecialToken]
  /// Whether texts begin with the begin token; nil when the file leaves it to the loader.
  public var addsBeginning: Bool?
  /// Whether texts end with the end token; nil when the file leaves it to the loader.
  public var addsEnd: Bool?
  /// Whether there is a chat template.
  public var hasChatTemplate: Bool
  /// The names of further chat templates.
  public var namedChatTemplates: [String]

  /// A role with its id and text.
  public struct SpecialToken: Sendable, Equatable {
    /// The role as Hugging Face files name it.
    public let role: String
    /// The id.
    public let id: Int
    /// The text; nil when the id lies outside the vocabulary.
    public let text: String?
  }

  /// The summary of a tokenizer, or nil when there is none.
  public init?(_ metadata: TokenizerMetadata) {
    guard let model = metadata.string(TokenizerKey.model) else { return nil }
    self.model = model
    preTokenizer = metadata.string(TokenizerKey.pre)
    let tokens = metadata.tokens
    tokenCount = tokens.count
    if case .int32s(let kinds)? = metadata[TokenizerKey.tokenTypes] {
      unusedCount = kinds.count { $0 == TokenKind.unused.rawValue }
    } else {
      unusedCount = 0
    }
    mergeCount = metadata.strings(TokenizerKey.merges)?.count ?? 0
    specialTokens = ["bos", "eos", "eot", "eom", "unk", "sep", "pad", "mask"].compactMap { role in
      guard let id = TokenizerKey.identifier(of: role).flatMap(metadata.identifier) else { return nil }
      return SpecialToken(role: role, id: id, text: tokens.indices.contains(id) ? tokens[id] : nil)
    }
    addsBeginning = metadata.flag("tokenizer.ggml.add_bos_token")
    addsEnd = metadata.flag("tokenizer.ggml.add_eos_token")
    hasChatTemplate = metadata[TokenizerKey.chatTemplate] != nil
    namedChatTemplates = metadata.strings(TokenizerKey.chatTemplates) ?? []
  }
}
