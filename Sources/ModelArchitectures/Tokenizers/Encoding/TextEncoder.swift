import PollardBase

/// Encodes a text as the tokenizers library does, for tokenizers whose parts it knows.
///
/// It exists to tell tokenizers apart by what they make of one text, so it prefers saying nothing over being almost right:
/// whatever is not known gives nil.
package struct TextEncoder {
  private let tokenizer: HuggingFaceTokenizer
  private let preTokenizer: JSONValue
  private let bytePair: BytePairEncoder?
  private let wordPiece: WordPieceEncoder?

  /// An encoder, or nil when the tokenizer's model is not known.
  init?(_ tokenizer: HuggingFaceTokenizer) {
    self.tokenizer = tokenizer
    preTokenizer = tokenizer.effectivePreTokenizer
    let model = tokenizer.json["model"] ?? .null
    switch tokenizer.algorithm {
    case .bytePair:
      guard let encoder = BytePairEncoder(model, vocabulary: tokenizer.baseVocabulary) else { return nil }
      (bytePair, wordPiece) = (encoder, nil)
    case .wordPiece:
      (bytePair, wordPiece) = (nil, WordPieceEncoder(model, vocabulary: tokenizer.baseVocabulary))
    default: return nil
    }
  }

  /// The encoder of a folder's files, or nil when the tokenizer is not one that it knows.
  package init?(files: TokenizerFiles, configuration: JSONValue) throws(FormatError) {
    let tokenizer = try HuggingFaceTokenizer(
      files: files, content: files.object("tokenizer.json"),
      modelType: configuration["model_type"]?.stringValue ?? "",
      className: configuration["tokenizer_class"]?.stringValue)
    self.init(tokenizer)
  }

  /// The digest by which the reference converter would know a folder's tokenizer, or nil when a part of it is not known.
  package static func stressDigest(files: TokenizerFiles, configuration: JSONValue) throws(FormatError) -> String? {
    try TextEncoder(files: files, configuration: configuration)?.identifiers(of: StressText.text)
      .map(PreTokenizerDigests.digest(of:))
  }

  /// The ids of a text, or nil when a part of the tokenizer is not known.
  package func identifiers(of text: String, addingSpecialTokens: Bool = true) -> [Int]? {
    var result: [Int] = []
    for piece in split(Array(text.unicodeScalars), at: tokenizer.addedTokens.values.filter { !$0.isNormalized }) {
      switch piece {
      case .token(let id): result.append(id)
      case .text(let raw):
        guard let normalized = TextNormalizer.normalized(raw, by: tokenizer.json["normalizer"] ?? .null) else {
          return nil
        }
        for piece in split(normalized, at: tokenizer.addedTokens.values.filter(\.isNormalized)) {
          switch piece {
          case .token(let id): result.append(id)
          case .text(let words):
            guard let words = PreTokenizer.words(of: words, by: preTokenizer) else { return nil }
            for word in words {
              guard let ids = bytePair?.identifiers(of: word) ?? wordPiece?.identifiers(of: word) else { return nil }
              result += ids
            }
          }
        }
      }
    }
    return addingSpecialTokens ? PostProcessor.processed(result, by: tokenizer) : result
  }

  private enum Piece {
    case token(Int)
    case text([UnicodeScalar])
  }

  /// Divides a text at tokens: the longest of those that start leftmost.
  private func split(_ text: [UnicodeScalar], at tokens: [AddedToken]) -> [Piece] {
    var byFirst: [UnicodeScalar: [(content: [UnicodeScalar], token: AddedToken)]] = [:]
    for token in tokens {
      let content = Array(token.content.unicodeScalars)
      if let first = content.first { byFirst[first, default: []].append((content, token)) }
    }
    for key in byFirst.keys { byFirst[key]?.sort { $0.content.count > $1.content.count } }
    var pieces: [Piece] = []
    var start = 0
    var position = 0
    while position < text.count {
      let found = byFirst[text[position]]?.first { candidate in
        text.count - position >= candidate.content.count
          && text[position..<position + candidate.content.count].elementsEqual(candidate.content)
          && (!candidate.token.isSingleWord || standsAlone(position..<position + candidate.content.count, in: text))
      }
      guard let found, let id = tokenizer.addedIdentifiers[ExactString(found.token.content)] else {
        position += 1
        continue
      }
      var low = position
      var high = position + found.content.count
      if found.token.stripsLeft { while low > start, text[low - 1].properties.isWhitespace { low -= 1 } }
      if found.token.stripsRight { while high < text.count, text[high].properties.isWhitespace { high += 1 } }
      if low > start { pieces.append(.text(Array(text[start..<low]))) }
      pieces.append(.token(id))
      start = high
      position = high
    }
    if start < text.count { pieces.append(.text(Array(text[start...]))) }
    return pieces
  }

  private func standsAlone(_ range: Range<Int>, in text: [UnicodeScalar]) -> Bool {
    let before = range.lowerBound > 0 && ScalarSet.word.contains(text[range.lowerBound - 1])
    let after = range.upperBound < text.count && ScalarSet.word.contains(text[range.upperBound])
    return !before && !after
  }
}

extension HuggingFaceTokenizer {
  /// The pre-tokenizer as the Python classes leave it: a lone `ByteLevel` takes its prefix space from the configuration.
  var effectivePreTokenizer: JSONValue {
    guard let preTokenizer = json["pre_tokenizer"], preTokenizer["add_prefix_space"]?.boolValue != nil else {
      return json["pre_tokenizer"] ?? .null
    }
    return preTokenizer.settingKey("add_prefix_space", to: configuration["add_prefix_space"] ?? false)
  }
}
