/// The metadata keys of a tokenizer in GGUF, in the format's own spelling (one of them misspelt).
enum TokenizerKey {
  static let model = "tokenizer.ggml.model"
  static let pre = "tokenizer.ggml.pre"
  static let tokens = "tokenizer.ggml.tokens"
  static let tokenTypes = "tokenizer.ggml.token_type"
  static let tokenTypeCount = "tokenizer.ggml.token_type_count"
  static let scores = "tokenizer.ggml.scores"
  static let merges = "tokenizer.ggml.merges"
  static let addSpacePrefix = "tokenizer.ggml.add_space_prefix"
  static let removeExtraWhitespaces = "tokenizer.ggml.remove_extra_whitespaces"
  static let characterMap = "tokenizer.ggml.precompiled_charsmap"
  static let lowercase = "tokenizer.ggml.normalizer.lowercase"
  static let stripAccents = "tokenizer.ggml.normalizer.strip_accents"
  static let chatTemplate = "tokenizer.chat_template"
  static let chatTemplates = "tokenizer.chat_templates"

  /// The key of a special token's id by the role's name in Hugging Face files, or nil when GGUF has no such role.
  static func identifier(of role: String) -> String? {
    switch role {
    case "bos", "eos", "eot", "eom", "mask": "tokenizer.ggml.\(role)_token_id"
    case "unk": "tokenizer.ggml.unknown_token_id"
    case "sep": "tokenizer.ggml.seperator_token_id"
    case "pad": "tokenizer.ggml.padding_token_id"
    default: nil
    }
  }

  /// The key of the flag that says whether a special token is added to every text, or nil when GGUF has no such flag.
  static func isAdded(_ role: String) -> String? {
    switch role {
    case "bos", "eos", "sep": "tokenizer.ggml.add_\(role)_token"
    default: nil
    }
  }
}

/// What a token is, by its number in `tokenizer.ggml.token_type` and in SentencePiece files.
enum TokenKind: Int32, Sendable {
  /// Ordinary text.
  case normal = 1
  /// Stands for what the vocabulary cannot express.
  case unknown = 2
  /// Never made from text: begin, end, roles of a chat.
  case control = 3
  /// Text that is always one token.
  case userDefined = 4
  /// A row of the embeddings without a token.
  case unused = 5
  /// One byte.
  case byte = 6
}
