import PollardBase

extension TokenizerConversion {
  /// Writes a T5 vocabulary from tokenizer.model or spiece.model.
  mutating func writeT5() throws(FormatError) {
    let model = try sentencePieceModel(["tokenizer.model", "spiece.model"])
    switch model.algorithm {
    case .unigram: break
    case .bytePair where files.has("tokenizer.model"): return try writeSentencePiece()
    default:
      throw FormatError(
        .unsupportedTokenizer, file: files.has("tokenizer.model") ? "tokenizer.model" : "spiece.model",
        expected: "a Unigram model", found: "\(model.algorithm)")
    }
    var vocabulary = try Vocabulary(size: configuredVocabularySize() ?? model.pieces.count)
    try fill(&vocabulary, with: model)
    try addTokensFile(to: &vocabulary)
    write(model: "t5", pre: "default", vocabulary, scores: true)
    metadata.set(TokenizerKey.addSpacePrefix, .bool(model.addsDummyPrefix))
    metadata.set(TokenizerKey.removeExtraWhitespaces, .bool(model.removesExtraWhitespaces))
    if !model.characterMap.isEmpty { metadata.set(TokenizerKey.characterMap, .bytes(model.characterMap)) }
    try writeSpecials(vocabularySize: vocabulary.count)
  }

  private func fill(_ vocabulary: inout Vocabulary, with model: SentencePieceModel) throws(FormatError) {
    guard model.pieces.count <= vocabulary.count else {
      throw FormatError(
        .vocabularyMismatch, file: "config.json", subject: .key("vocab_size"),
        expected: "at least \(model.pieces.count), the number of pieces", found: "\(vocabulary.count)")
    }
    for (id, piece) in model.pieces.enumerated() {
      vocabulary.set(id, piece.text, score: piece.score, kind: piece.kind == .userDefined ? .normal : piece.kind)
    }
  }

  /// Writes an XLM-R vocabulary from sentencepiece.bpe.model, or from tokenizer.json where there is none.
  mutating func writeXLMRoberta() throws(FormatError) {
    var vocabulary: Vocabulary
    let addsPrefix: Bool
    let removesWhitespaces: Bool
    let characterMap: [UInt8]
    if files.has("sentencepiece.bpe.model") {
      let model = try sentencePieceModel(["sentencepiece.bpe.model"])
      guard model.algorithm == .unigram else {
        throw FormatError(
          .unsupportedTokenizer, file: "sentencepiece.bpe.model", expected: "a Unigram model",
          found: "\(model.algorithm)")
      }
      vocabulary = try realigned(model)
      (addsPrefix, removesWhitespaces) = (model.addsDummyPrefix, model.removesExtraWhitespaces)
      characterMap = model.characterMap
    } else {
      let tokenizer = try huggingFace()
      guard tokenizer.algorithm == .unigram else {
        throw FormatError(
          .unsupportedTokenizer, file: "tokenizer.json", subject: .key("model.type"), expected: "Unigram",
          found: tokenizer.algorithm.rawValue)
      }
      vocabulary = try unigramTable(tokenizer)
      addsPrefix = tokenizer.configuration["add_prefix_space"]?.boolValue ?? false
      removesWhitespaces = tokenizer.configuration["clean_up_tokenization_spaces"]?.boolValue ?? true
      characterMap = try tokenizer.characterMap()
    }
    write(model: "t5", pre: "default", vocabulary, scores: true)
    metadata.set(TokenizerKey.addSpacePrefix, .bool(addsPrefix))
    metadata.set(TokenizerKey.tokenTypeCount, .uint32(tokenTypeCount()))
    metadata.set(TokenizerKey.removeExtraWhitespaces, .bool(removesWhitespaces))
    if !characterMap.isEmpty { metadata.set(TokenizerKey.characterMap, .bytes(characterMap)) }
    try writeSpecials(vocabularySize: vocabulary.count)
  }

  /// XLM-R's ids: four special tokens of its own in place of the file's three, and the last id given up.
  private func realigned(_ model: SentencePieceModel) throws(FormatError) -> Vocabulary {
    var table = try Vocabulary(size: max(configuredVocabularySize() ?? 0, model.pieces.count))
    try fill(&table, with: model)
    let rest = 3..<max(3, table.count - 1)
    var vocabulary = Vocabulary(
      tokens: ["<s>", "<pad>", "</s>", "<unk>"] + table.tokens[rest], scores: [0, 0, 0, 0] + table.scores[rest],
      kinds: [.control, .control, .control, .unknown] + table.kinds[rest])
    if className == "NomicBertModel", setting("moe_every_n_layers") != nil, vocabulary.count > 250_001 {
      vocabulary.set(250_001, "<mask>", score: 0, kind: .control)
    }
    return vocabulary
  }

  private func unigramTable(_ tokenizer: HuggingFaceTokenizer) throws(FormatError) -> Vocabulary {
    var vocabulary = try Vocabulary(size: max(configuredVocabularySize() ?? 0, tokenizer.baseCount))
    let tokens = tokenizer.tokensByIdentifier()
    let special = Set(tokenizer.allSpecialTokens.compactMap { tokenizer.identifier(of: $0) })
    let unknownText = tokenizer.configuration["unk_token"]?.stringValue
    let unknown =
      unknownText.flatMap { tokenizer.addedIdentifiers[ExactString($0)] }
      ?? tokenizer.json["model"]?["unk_id"]?.intValue ?? 3
    for (id, token) in tokens where id < tokenizer.unigramScores.count {
      let kind: TokenKind =
        id == unknown
        ? .unknown : special.contains(id) ? .control : tokenizer.addedTokens[id] != nil ? .userDefined : .normal
      vocabulary.set(id, token, score: tokenizer.unigramScores[id], kind: kind)
    }
    return vocabulary
  }
}

extension HuggingFaceTokenizer {
  /// The table of a `Precompiled` normaliser, wherever it is among the normalisers; empty when there is none.
  ///
  /// - Throws: `malformedTokenizer` when the text is not base 64.
  func characterMap() throws(FormatError) -> [UInt8] {
    var pending = [json["normalizer"] ?? .null]
    while let normalizer = pending.popLast() {
      if let text = normalizer["precompiled_charsmap"]?.stringValue {
        guard let bytes = Base64.decoded(text) else {
          throw FormatError(
            .malformedTokenizer, file: "tokenizer.json", subject: .key("precompiled_charsmap"),
            expected: "a text in base 64", found: "something else")
        }
        return bytes
      }
      pending += normalizer["normalizers"]?.arrayValue ?? []
    }
    return []
  }
}
