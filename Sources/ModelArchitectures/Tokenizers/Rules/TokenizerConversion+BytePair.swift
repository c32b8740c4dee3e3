import PollardBase

extension TokenizerConversion {
  /// Writes a byte-level BPE.
  mutating func writeBytePair() throws(FormatError) { try writeBytePair(try huggingFace()) }

  /// Writes a byte-level BPE.
  mutating func writeBytePair(_ tokenizer: HuggingFaceTokenizer) throws(FormatError) {
    guard tokenizer.algorithm == .bytePair else {
      throw FormatError(
        .unsupportedTokenizer, file: "tokenizer.json", subject: .key("model.type"), expected: "BPE for this model",
        found: tokenizer.algorithm.rawValue)
    }
    let vocabulary = try tableOfTokens(tokenizer)
    write(model: "gpt2", pre: try preTokenizerName(tokenizer), vocabulary, scores: false)
    try writeSpecials(loadingMerges: true)
    if metadata[TokenizerKey.merges] == nil {
      throw FormatError(
        .malformedTokenizer, file: tokenizer.isFromTokenizerFile ? "tokenizer.json" : "merges.txt",
        subject: .key("model.merges"), expected: "at least one merge", found: "none")
    }
  }

  /// Tokens and kinds by id, holes filled: what byte-level BPE and WordPiece share.
  func tableOfTokens(_ tokenizer: HuggingFaceTokenizer) throws(FormatError) -> Vocabulary {
    let tokens = tokenizer.tokensByIdentifier()
    let size = try configuredVocabularySize() ?? tokens.count
    var vocabulary = try Vocabulary(size: size)
    for (id, token) in tokens {
      guard id < size else {
        throw FormatError(
          .vocabularyMismatch, file: "config.json", subject: .key("vocab_size"), expected: "more than \(id)",
          found: "\(size), and the tokenizer has the token \"\(token)\" with the id \(id)",
          remedy: "take the tokenizer that belongs to these weights")
      }
      guard let added = tokenizer.addedTokens[id], haveSameBytes(added.content, token) else {
        vocabulary.set(id, token, score: 0, kind: .normal)
        continue
      }
      let text = added.isNormalized ? token : tokenizer.decodedAlone(token)
      let isControl = added.isSpecial || looksSpecial(text)
      vocabulary.set(
        id, isControl ? text : spacesRestored(text), score: 0, kind: isControl ? .control : .userDefined)
    }
    return vocabulary
  }

  /// Whether a tokenizer.json holds a SentencePiece-like BPE: whole characters, and bytes for what is unknown.
  func isByteFallback(_ tokenizer: HuggingFaceTokenizer) -> Bool {
    let model = tokenizer.json["model"]
    return tokenizer.isFromTokenizerFile && tokenizer.algorithm == .bytePair
      && model?["byte_fallback"]?.boolValue ?? false
      && tokenizer.json["decoder"]?["type"]?.stringValue == "Sequence"
  }

  /// Writes a BPE with byte fallback as SentencePiece, with equal scores.
  mutating func writeByteFallback(_ tokenizer: HuggingFaceTokenizer) throws(FormatError) {
    guard isByteFallback(tokenizer) else {
      throw FormatError(
        .unsupportedTokenizer, file: "tokenizer.json", subject: .key("model"), expected: "a BPE with byte_fallback",
        found: "another tokenizer")
    }
    let tokens = tokenizer.tokensByIdentifier()
    let special = Set(tokenizer.allSpecialTokens.compactMap { tokenizer.identifier(of: $0) })
    var texts: [String] = []
    var kinds: [TokenKind] = []
    for id in 0..<tokenizer.baseCount {
      guard let token = tokens[id] else {
        throw FormatError(
          .malformedTokenizer, file: "tokenizer.json", subject: .key("model.vocab"),
          expected: "a token for each id below \(tokenizer.baseCount)", found: "none for \(id)")
      }
      texts.append(token)
      kinds.append(byteValue(of: token) != nil ? .byte : special.contains(id) ? .control : .normal)
    }
    for id in tokenizer.addedTokens.keys.sorted() where id >= tokenizer.baseCount {
      guard let token = tokens[id] else { continue }
      texts.append(token)
      kinds.append(special.contains(id) ? .control : .userDefined)
    }
    let scores = [Float](repeating: -1000, count: texts.count)
    let vocabulary = Vocabulary(tokens: texts, scores: scores, kinds: kinds)
    write(model: "llama", pre: "default", vocabulary, scores: true)
    try writeSpecials(vocabularySize: vocabulary.count)
    metadata.note(
      "The tokenizer has no tokenizer.model: the order of its merges is lost in GGUF, and llama.cpp may divide some words"
        + " otherwise.")
  }
}

/// The byte that a token like `<0x0A>` stands for.
func byteValue(of token: String) -> UInt8? {
  let bytes = Array(token.utf8)
  guard bytes.count == 6, bytes.starts(with: "<0x".utf8), bytes[5] == UInt8(ascii: ">"),
    bytes[3...4].allSatisfy({ Character(UnicodeScalar($0)).isHexDigit })
  else { return nil }
  return UInt8(String(decoding: bytes[3...4], as: UTF8.self), radix: 16)
}

extension HuggingFaceTokenizer {
  /// What a token that stands alone is decoded to.
  func decodedAlone(_ token: String) -> String { Self.decoded(token, by: json["decoder"] ?? .null) }

  private static func decoded(_ token: String, by decoder: JSONValue) -> String {
    switch decoder["type"]?.stringValue {
    case "ByteLevel": return ByteAlphabet.decoded(token) ?? token
    case "Replace":
      guard let pattern = decoder["pattern"]?["String"]?.stringValue, let content = decoder["content"]?.stringValue
      else { return token }
      return replacing(pattern, with: content, in: token)
    case "Metaspace":
      return decoder["replacement"]?.stringValue.map { replacing($0, with: " ", in: token) } ?? token
    case "ByteFallback":
      guard let byte = byteValue(of: token) else { return token }
      return byte < 0x80 ? String(UnicodeScalar(byte)) : "\u{FFFD}"
    case "Strip":
      guard let content = decoder["content"]?.stringValue?.unicodeScalars.first else { return token }
      var scalars = Substring(token).unicodeScalars
      for _ in 0..<max(0, min(decoder["start"]?.intValue ?? 0, 16)) where scalars.first == content {
        scalars.removeFirst()
      }
      for _ in 0..<max(0, min(decoder["stop"]?.intValue ?? 0, 16)) where scalars.last == content {
        scalars.removeLast()
      }
      return String(String.UnicodeScalarView(scalars))
    case "Sequence":
      var text = token
      for part in decoder["decoders"]?.arrayValue ?? [] { text = decoded(text, by: part) }
      return text
    default: return token
    }
  }
}
