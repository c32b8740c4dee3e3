import PollardBase

extension TokenizerExport {
  /// Writes a WordPiece vocabulary, as tokenizer.json and as vocab.txt.
  mutating func writeWordPiece() {
    let lowercases =
      metadata.flag(TokenizerKey.lowercase)
      ?? !tokens.indices.contains { id in
        kinds[id] == .normal && !Self.isBracketed(tokens[id])
          && tokens[id].utf8.contains { (0x41...0x5A).contains($0) }
      }
    if metadata.flag(TokenizerKey.lowercase) == nil {
      notes.append(
        "The file does not say whether texts are put into lower case; its tokens suggest that they are"
          + (lowercases ? "." : " not."))
    }
    let strips = metadata.flag(TokenizerKey.stripAccents)
    writeFiles(
      normalizer: [
        "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": strips.map { JSONValue($0) } ?? .null, "lowercase": JSONValue(lowercases),
      ],
      preTokenizer: ["type": "BertPreTokenizer"], postProcessor: template(),
      decoder: ["type": "WordPiece", "prefix": "##", "cleanup": true],
      model: [
        "type": "WordPiece", "unk_token": JSONValue(token("unk") ?? "[UNK]"), "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": .object(vocabulary()),
      ],
      added: addedTokens(), settings: ["do_lower_case": JSONValue(lowercases)])
    let count = (tokens.indices.last { !isPadding($0) } ?? 0) + 1
    files.append(("vocab.txt", tokens.prefix(count).flatMap { Array($0.utf8) + [0x0A] }))
  }

  /// A token as WordPiece has it: the beginnings of words as they are, what goes on after `##`.
  static func wordPieceText(_ token: String, kind: TokenKind) -> String {
    if kind == .control || kind == .unknown { return token }
    let mark = Array("\u{2581}".utf8)
    if token.utf8.starts(with: mark) { return String(decoding: token.utf8.dropFirst(mark.count), as: UTF8.self) }
    // Older files mark neither control tokens nor the padding.
    return isBracketed(token) ? token : "##" + token
  }

  private static func isBracketed(_ token: String) -> Bool {
    token.utf8.count > 2 && token.utf8.first == UInt8(ascii: "[") && token.utf8.last == UInt8(ascii: "]")
  }
}
