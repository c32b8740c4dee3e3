import PollardBase

/// A vocabulary in the making: text, score and kind of every id.
///
/// Ids without a token are filled with `[PAD{id}]`, score -10000, as the reference converter does.
struct Vocabulary: Sendable {
  private(set) var tokens: [String]
  private(set) var scores: [Float]
  private(set) var kinds: [TokenKind]

  /// Largest vocabulary that is believed: GGUF loaders index tokens with 32 bits, and real ones have some 300 000.
  static let limit = 1 << 24

  /// A vocabulary of padding.
  ///
  /// - Throws: `vocabularyMismatch` for a size outside 1 ... 2²⁴.
  init(size: Int) throws(FormatError) {
    guard (1...Self.limit).contains(size) else {
      throw FormatError(
        .vocabularyMismatch, file: "config.json", subject: .key("vocab_size"), expected: "1 to \(Self.limit) tokens",
        found: "\(size)")
    }
    tokens = (0..<size).map { "[PAD\($0)]" }
    scores = [Float](repeating: -10000, count: size)
    kinds = [TokenKind](repeating: .unused, count: size)
  }

  /// The tokens of a vocabulary that has no holes.
  init(tokens: [String], scores: [Float], kinds: [TokenKind]) {
    precondition(tokens.count == scores.count && tokens.count == kinds.count, "every token has a score and a kind")
    self.tokens = tokens
    self.scores = scores
    self.kinds = kinds
  }

  var count: Int { tokens.count }

  /// Puts a token at an id inside the vocabulary.
  mutating func set(_ id: Int, _ text: String, score: Float, kind: TokenKind) {
    tokens[id] = text
    scores[id] = score
    kinds[id] = kind
  }

  /// Rewrites the texts of all tokens.
  mutating func mapTokens(_ transform: (String, TokenKind) -> String) {
    for index in tokens.indices { tokens[index] = transform(tokens[index], kinds[index]) }
  }

  /// The first text that two ids share, with both ids.
  func firstDuplicate() -> (text: String, ids: (Int, Int))? {
    var seen: [ExactString: Int] = [:]
    seen.reserveCapacity(tokens.count)
    for (id, token) in tokens.enumerated() {
      if let first = seen.updateValue(id, forKey: ExactString(token)) { return (token, (first, id)) }
    }
    return nil
  }
}

/// Whether a token that its files do not call special is a control token by its looks.
///
/// Some models (DeepSeek Coder, Command R, Gemma) do not mark all of theirs.
func looksSpecial(_ token: String) -> Bool {
  let bytes = token.utf8
  if ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(where: { haveSameBytes($0, token) }) { return true }
  let frames = [("<|", "|>"), ("<\u{FF5C}", "\u{FF5C}>"), ("<unused", ">")]
  return frames.contains { bytes.starts(with: $0.0.utf8) && bytes.reversed().starts(with: $0.1.utf8.reversed()) }
}

/// A text with U+2581, SentencePiece's mark for a space, made a space.
func spacesRestored(_ text: String) -> String { replacing("\u{2581}", with: " ", in: text) }

/// A text with every occurrence of one string of scalars replaced by another.
func replacing(_ pattern: String, with replacement: String, in text: String) -> String {
  let pattern = Array(pattern.utf8)
  let source = Array(text.utf8)
  guard !pattern.isEmpty, source.count >= pattern.count else { return text }
  var result: [UInt8] = []
  result.reserveCapacity(source.count)
  var position = 0
  while position < source.count {
    if source.count - position >= pattern.count,
      source[position..<position + pattern.count].elementsEqual(pattern)
    {
      result.append(contentsOf: replacement.utf8)
      position += pattern.count
    } else {
      result.append(source[position])
      position += 1
    }
  }
  return String(decoding: result, as: UTF8.self)
}
