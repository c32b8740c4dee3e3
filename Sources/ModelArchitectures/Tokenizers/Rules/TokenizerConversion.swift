import PollardBase

extension TokenizerMetadata {
  /// The metadata that the reference converter writes for a tokenizer, in its order and types.
  ///
  /// - Parameters:
  ///   - files: the tokenizer's files.
  ///   - configuration: config.json as it is; of a multimodal model, the part under `text_config` counts first.
  ///   - architecture: GGUF's `general.architecture`. The class under `architectures` decides where several classes share one.
  ///   - preTokenizer: the value of `tokenizer.ggml.pre` for a byte-level BPE, when the caller knows better.
  /// - Throws: `missingTokenizer`, `malformedTokenizer`, `unsupportedTokenizer`, `unknownPreTokenizer`, `vocabularyMismatch`,
  ///   and what parsing throws.
  /// - Source: `convert_hf_to_gguf.py` of llama.cpp (July 2026), the `set_vocab` methods.
  public init(
    files: TokenizerFiles, configuration: JSONValue, architecture: String, preTokenizer: String? = nil
  ) throws(FormatError) {
    self.init()
    var conversion = TokenizerConversion(
      files: files, configuration: configuration, architecture: architecture, preTokenizer: preTokenizer)
    try conversion.run()
    self = conversion.metadata
    if let duplicate = conversion.duplicate {
      note(
        "The token \"\(escapedForTerminal(duplicate.text))\" occurs twice, as \(duplicate.ids.0) and \(duplicate.ids.1): "
          + "llama.cpp refuses such a vocabulary.")
    }
  }
}

/// One conversion of Hugging Face tokenizer files to GGUF metadata.
struct TokenizerConversion {
  let files: TokenizerFiles
  let configuration: JSONValue
  let className: String?
  let modelType: String
  let rule: VocabularyRule
  let preTokenizer: String?
  /// The content of tokenizer.json, parsed once; nil when there is none.
  private(set) var tokenizerFile: JSONObject?
  var metadata = TokenizerMetadata()
  var duplicate: (text: String, ids: (Int, Int))?

  init(files: TokenizerFiles, configuration: JSONValue, architecture: String, preTokenizer: String?) {
    self.files = files
    self.configuration = configuration
    self.preTokenizer = preTokenizer
    className = configuration["architectures"]?[0]?.stringValue
    modelType = configuration["model_type"]?.stringValue ?? ""
    rule = VocabularyRule.of(className: className, architecture: architecture)
  }

  /// A key of the configuration, that of the text model first; nil for null.
  func setting(_ key: String) -> JSONValue? {
    for value in [configuration["text_config"]?[key], configuration[key]] {
      if let value, !value.isNull { return value }
    }
    return nil
  }

  /// The number of tokens that the configuration claims, or that its class has when it does not say.
  func configuredVocabularySize() throws(FormatError) -> Int? {
    guard let value = setting("vocab_size") else { return Self.defaultVocabularySize(modelType: modelType) }
    guard let size = value.intValue, (1...Vocabulary.limit).contains(size) else {
      throw FormatError(
        .configurationValue, file: "config.json", subject: .key("vocab_size"),
        expected: "a whole number from 1 to \(Vocabulary.limit)", found: value.serialized(.compact))
    }
    return size
  }

  /// The default of `vocab_size` of a configuration class, which its files may leave out.
  private static func defaultVocabularySize(modelType: String) -> Int? {
    switch modelType {
    case "llama", "mistral", "mixtral": 32000
    case "qwen2", "qwen3": 151_936
    case "gemma", "gemma2": 256_000
    case "gemma3", "gemma3_text": 262_208
    case "phi": 51_200
    case "phi3": 32_064
    case "gpt2": 50_257
    case "gpt_neox": 50_432
    case "bert", "distilbert", "xlm-roberta", "camembert": 30_522
    case "roberta": 50_265
    case "modernbert": 50_368
    case "t5": 32_128
    case "mt5", "umt5": 250_112
    case "falcon": 65_024
    case "bloom": 250_880
    case "stablelm": 50_304
    default: nil
    }
  }

  /// The number of token types of a BERT: two unless the configuration says otherwise, one where there is no such key.
  func tokenTypeCount() -> UInt32 {
    if let count = setting("type_vocab_size")?.intValue, let count = UInt32(exactly: count) { return count }
    return ["bert", "roberta", "xlm-roberta", "camembert"].contains(modelType) ? 2 : 1
  }

  mutating func run() throws(FormatError) {
    guard files.hasVocabulary || files.has("tekken.json") else {
      throw FormatError(
        .missingTokenizer, expected: "tokenizer.json, tokenizer.model or an older vocabulary file",
        found: "no such file", remedy: "copy the tokenizer's files into the model's folder")
    }
    tokenizerFile = try files.object("tokenizer.json")
    switch rule {
    case .llama: try writeLlama()
    case .deci:
      if try configuredVocabularySize() ?? 128_256 == 128_256 {
        try writeBytePair()
      } else {
        try writeByteFallback(try huggingFace())
      }
    case .sentencePieceOrBytePair:
      if files.has("tokenizer.model") { try writeSentencePiece() } else { try writeBytePair() }
    case .gemma: try writeGemma()
    case .gemma2:
      try writeSentencePiece()
      metadata.set(TokenizerKey.addSpacePrefix, .bool(false))
    case .gemma3: try writeGemma3()
    case .phi3: try writePhi3()
    case .sentencePiece: try writeSentencePiece()
    case .bytePair: try writeBytePair()
    case .wordPiece: try writeWordPiece()
    case .roberta:
      guard files.has("tokenizer.json") else { return try writeWordPiece() }
      try writeBytePair()
      metadata.set(TokenizerKey.tokenTypeCount, .uint32(tokenTypeCount()))
    case .modernBert:
      for role in ["bos", "eos", "sep"] { metadata.set("tokenizer.ggml.add_\(role)_token", .bool(true)) }
      try writeBytePair()
    case .xlmRoberta: try writeXLMRoberta()
    case .nomicBert:
      switch tokenizerFile?["model"]?["type"]?.stringValue {
      case "Unigram"?: try writeXLMRoberta()
      default: try writeWordPiece()
      }
    case .t5: try writeT5()
    }
  }

  /// The tokenizer as transformers would load it.
  func huggingFace() throws(FormatError) -> HuggingFaceTokenizer {
    try HuggingFaceTokenizer(
      files: files, content: tokenizerFile, modelType: modelType,
      className: configuration["tokenizer_class"]?.stringValue)
  }

  /// Writes name, splitting rule and vocabulary.
  mutating func write(model: String, pre: String, _ vocabulary: Vocabulary, scores: Bool) {
    metadata.set(TokenizerKey.model, .string(model))
    metadata.set(TokenizerKey.pre, .string(pre))
    metadata.set(TokenizerKey.tokens, .strings(vocabulary.tokens))
    if scores { metadata.set(TokenizerKey.scores, .floats(vocabulary.scores)) }
    metadata.set(TokenizerKey.tokenTypes, .int32s(vocabulary.kinds.map(\.rawValue)))
    duplicate = vocabulary.firstDuplicate()
  }

  /// Gathers special tokens and writes them.
  mutating func writeSpecials(
    loadingMerges: Bool = false, roles: [String] = TokenizerClass.roles, vocabularySize: Int? = nil,
    identifiers: [(role: String, id: Int)] = [], withChatTemplate: Bool = true
  ) throws(FormatError) {
    var specials = try SpecialVocabulary(
      files: files, configuration: configuration, tokenizer: tokenizerFile, loadingMerges: loadingMerges, roles: roles,
      vocabularySize: vocabularySize)
    for (role, id) in identifiers { specials.setIdentifier(role, JSONValue(id)) }
    if !withChatTemplate { specials.chatTemplates = [] }
    specials.write(to: &metadata)
  }
}

// MARK: - Families with rules of their own

extension TokenizerConversion {
  private mutating func writeLlama() throws(FormatError) {
    if files.has("tekken.json"), !files.has("tokenizer.json") {
      throw FormatError(
        .unsupportedTokenizer, file: "tekken.json", expected: "tokenizer.json or tokenizer.model",
        found: "tekken.json alone",
        remedy: "save the tokenizer with transformers, which writes tokenizer.json")
    }
    if let value = try files.object("tokenizer_config.json")?["add_prefix_space"]?.boolValue {
      metadata.set(TokenizerKey.addSpacePrefix, .bool(value))
    }
    if files.has("tokenizer.model") {
      try writeSentencePiece()
    } else {
      let tokenizer = try huggingFace()
      if isByteFallback(tokenizer) { try writeByteFallback(tokenizer) } else { try writeBytePair(tokenizer) }
    }
    let size = try setting("vocab_size") == nil ? 32000 : configuredVocabularySize()
    if size == 32016 {
      // Code Llama: the infilling tokens' ids have no keys any more, the end of an infilling has.
      try writeSpecials(roles: ["prefix", "suffix", "middle", "eot"], identifiers: [("eot", 32010)])
    }
    if size == 49152 { metadata.set("tokenizer.ggml.add_bos_token", .bool(false)) }
  }

  private mutating func writeGemma() throws(FormatError) {
    try writeSentencePiece()
    try writeSpecials(
      roles: ["prefix", "suffix", "middle", "fsep", "eot"], identifiers: [("eot", 107)], withChatTemplate: false)
    metadata.set(TokenizerKey.addSpacePrefix, .bool(false))
  }

  private mutating func writeGemma3() throws(FormatError) {
    guard !files.has("tokenizer.model") else {
      try writeSentencePiece()
      metadata.set(TokenizerKey.addSpacePrefix, .bool(false))
      metadata.embeddingRowCount = metadata.tokenCount
      return
    }
    let tokenizer = try huggingFace()
    try writeBytePair(tokenizer)
    let listed = tokenizer.isFromTokenizerFile ? tokenizer.json["added_tokens"]?.arrayValue?.count ?? 0 : 0
    metadata.embeddingRowCount = tokenizer.baseCount + listed
  }
}
