import PollardBase

extension TokenizerConversion {
  /// Writes the vocabulary of tokenizer.model with the tokens that other files add to it.
  mutating func writeSentencePiece() throws(FormatError) {
    let vocabulary = try sentencePieceVocabulary()
    write(model: "llama", pre: "default", vocabulary, scores: true)
    try writeSpecials(vocabularySize: vocabulary.count)
  }

  private func sentencePieceVocabulary() throws(FormatError) -> Vocabulary {
    let model = try sentencePieceModel(["tokenizer.model"])
    var vocabulary = try Vocabulary(size: sentencePieceSize() ?? model.pieces.count)
    for (id, piece) in model.pieces.enumerated().prefix(vocabulary.count) {
      vocabulary.set(id, piece.text, score: piece.score, kind: piece.kind == .userDefined ? .normal : piece.kind)
    }
    try addTokensFile(to: &vocabulary)
    for (id, token) in try configuredAddedTokens() where id < vocabulary.count {
      let isControl = token.isSpecial || looksSpecial(token.content)
      vocabulary.set(
        id, isControl ? token.content : spacesRestored(token.content), score: -1000,
        kind: isControl ? .control : .userDefined)
    }
    return vocabulary
  }

  private func sentencePieceSize() throws(FormatError) -> Int? {
    if let value = setting("vocab_size_per_layer_input")?.intValue, (1...Vocabulary.limit).contains(value) {
      return value
    }
    return try configuredVocabularySize()
  }

  /// The first of some files that is there.
  func sentencePieceModel(_ names: [String]) throws(FormatError) -> SentencePieceModel {
    for name in names {
      if let bytes = files.bytes[name] { return try SentencePieceModel(parsing: bytes, file: name) }
    }
    throw FormatError(
      .missingTokenizer, expected: names.joined(separator: " or "), found: "no such file",
      remedy: "copy the tokenizer's files into the model's folder")
  }

  /// Puts the tokens of added_tokens.json into a vocabulary; those with an id outside are passed over.
  func addTokensFile(to vocabulary: inout Vocabulary) throws(FormatError) {
    for member in try files.object("added_tokens.json") ?? JSONObject() {
      guard let id = member.value.intValue, id >= 0 else {
        throw FormatError(
          .malformedTokenizer, file: "added_tokens.json", subject: .key(member.key), expected: "an id from 0 on",
          found: member.value.serialized(.compact))
      }
      if id < vocabulary.count { vocabulary.set(id, member.key, score: -1000, kind: .userDefined) }
    }
  }

  /// The tokens of `added_tokens_decoder` in tokenizer_config.json, in the order of the file.
  private func configuredAddedTokens() throws(FormatError) -> [(id: Int, token: AddedToken)] {
    var result: [(id: Int, token: AddedToken)] = []
    let members = try files.object("tokenizer_config.json")?["added_tokens_decoder"]?.objectValue
    for member in members ?? JSONObject() {
      guard let id = Int(member.key), id >= 0, let token = AddedToken(member.value) else {
        throw FormatError(
          .malformedTokenizer, file: "tokenizer_config.json", subject: .key("added_tokens_decoder"),
          expected: "ids from 0 on, each with a content", found: "\"\(member.key)\"")
      }
      result.append((id, token))
    }
    return result
  }

  /// Writes Phi-3's vocabulary: tokenizer.model with the added tokens of tokenizer_config.json and of tokenizer.json.
  mutating func writePhi3() throws(FormatError) {
    if try files.object("tokenizer_config.json")?["tokenizer_class"]?.stringValue == "GPT2Tokenizer" {
      return try writeBytePair()
    }
    let model = try sentencePieceModel(["tokenizer.model"])
    var vocabulary = try Vocabulary(size: configuredVocabularySize() ?? model.pieces.count)
    guard model.pieces.count <= vocabulary.count else {
      throw FormatError(
        .vocabularyMismatch, file: "tokenizer.model",
        expected: "at most \(vocabulary.count) pieces, as vocab_size says",
        found: "\(model.pieces.count)")
    }
    for (id, piece) in model.pieces.enumerated() {
      vocabulary.set(id, piece.text, score: piece.score, kind: piece.kind == .userDefined ? .normal : piece.kind)
    }
    try addTokensFile(to: &vocabulary)
    for (id, token) in try configuredAddedTokens() + listedAddedTokens() {
      guard id < vocabulary.count else {
        throw FormatError(
          .vocabularyMismatch, file: "tokenizer_config.json",
          expected: "ids below \(vocabulary.count), as vocab_size says",
          found: "\(id) for \"\(token.content)\"")
      }
      vocabulary.set(id, token.content, score: -1000, kind: token.isSpecial ? .control : .userDefined)
    }
    write(model: "llama", pre: "default", vocabulary, scores: true)
    try writeSpecials(vocabularySize: vocabulary.count)
  }

  /// The added tokens of tokenizer.json with the ids that the file gives them.
  private func listedAddedTokens() throws(FormatError) -> [(id: Int, token: AddedToken)] {
    var result: [(id: Int, token: AddedToken)] = []
    for value in tokenizerFile?["added_tokens"]?.arrayValue ?? [] {
      guard let id = value["id"]?.intValue, id >= 0, let token = AddedToken(value) else {
        throw FormatError(
          .malformedTokenizer, file: "tokenizer.json", subject: .key("added_tokens"),
          expected: "an id from 0 on and a content for each token", found: "something else")
      }
      result.append((id, token))
    }
    return result
  }
}
