import PollardBase

extension TokenizerConversion {
  /// Writes a WordPiece vocabulary.
  ///
  /// GGUF marks the beginning of a word by U+2581 where WordPiece marks every other piece by `##`; control tokens keep their text.
  mutating func writeWordPiece() throws(FormatError) {
    let tokenizer = try huggingFace()
    var vocabulary = try tableOfTokens(tokenizer)
    let pre = try preTokenizerName(tokenizer)
    metadata.set(TokenizerKey.tokenTypeCount, .uint32(tokenTypeCount()))
    vocabulary.mapTokens { token, kind in
      if kind == .control { return token }
      return token.utf8.starts(with: "##".utf8)
        ? String(decoding: token.utf8.dropFirst(2), as: UTF8.self) : "\u{2581}" + token
    }
    write(model: "bert", pre: pre, vocabulary, scores: false)
    try writeSpecials(vocabularySize: vocabulary.count)
    if tokenizer.algorithm != .wordPiece {
      metadata.note(
        "The tokenizer's model is \(tokenizer.algorithm.rawValue), and GGUF's BERT takes WordPiece: texts will be divided otherwise."
      )
    }
  }
}
