import PollardBase

/// How tokens of a byte-pair vocabulary come about: by which merges, and so from which other tokens.
///
/// What merges make of a stretch of text that ends up as one token does not depend on its surroundings: a merge across its border would have left
/// another token, and those outside touch nothing inside. So the merges of the token's own text are the ones that every text takes, and
/// with these and any others of the old order kept, every text of kept tokens is divided as before.
struct BytePairDerivation {
  private struct Pair: Hashable {
    let left: Int
    let right: Int
  }

  private let vocabulary: [ExactString: Int]
  private let fallsBackToBytes: Bool
  private var merges: [Pair: (rank: Int, result: Int)] = [:]

  /// - Throws: `unsupportedTokenizer` for marks at the begin or end of words, `malformedTokenizer` for merges of unknown tokens.
  init(_ model: JSONValue, vocabulary: [ExactString: Int]) throws(FormatError) {
    for option in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard let mark = model[option]?.stringValue, !mark.isEmpty else { continue }
      throw FormatError(
        .unsupportedTokenizer, file: "tokenizer.json", subject: .key("model.\(option)"),
        expected: "merges without marks, to remove tokens", found: "\"\(mark)\"", remedy: "keep the whole vocabulary")
    }
    self.vocabulary = vocabulary
    fallsBackToBytes = model["byte_fallback"]?.boolValue ?? false
    let list = model["merges"]?.arrayValue ?? []
    merges.reserveCapacity(list.count)
    for (rank, merge) in list.enumerated() {
      guard let (left, right) = BytePairEncoder.parts(of: merge), let leftID = vocabulary[ExactString(left)],
        let rightID = vocabulary[ExactString(right)], let result = vocabulary[ExactString(left + right)]
      else {
        throw FormatError(
          .malformedTokenizer, file: "tokenizer.json", subject: .key("model.merges"),
          expected: "two tokens whose joined text is one too", found: merge.serialized(.compact))
      }
      merges[Pair(left: leftID, right: rightID)] = (rank, result)
    }
  }

  /// The ids that a text goes through until it is one token: its characters, and what is merged on the way. Empty for a text that merges do not
  /// make one token of.
  func parts(of text: String) -> [Int] {
    var ids: [Int] = []
    for scalar in text.unicodeScalars {
      guard let id = vocabulary[ExactString(String(scalar))] else {
        guard fallsBackToBytes, let bytes = Self.bytePieces(scalar, in: vocabulary) else { return [] }
        ids += bytes
        continue
      }
      ids.append(id)
    }
    var all = ids
    while ids.count > 1 {
      var best: (rank: Int, position: Int, result: Int)?
      for position in 0..<ids.count - 1 {
        guard let merge = merges[Pair(left: ids[position], right: ids[position + 1])] else { continue }
        if best.map({ merge.rank < $0.rank }) ?? true { best = (merge.rank, position, merge.result) }
      }
      guard let best else { return [] }
      ids[best.position] = best.result
      ids.remove(at: best.position + 1)
      all.append(best.result)
    }
    return all
  }

  /// The ids of the pieces `<0xNN>` for a scalar's bytes; nil when one is missing.
  private static func bytePieces(_ scalar: UnicodeScalar, in vocabulary: [ExactString: Int]) -> [Int]? {
    var ids: [Int] = []
    for byte in String(scalar).utf8 {
      guard let id = vocabulary[ExactString(bytePiece(byte))] else { return nil }
      ids.append(id)
    }
    return ids
  }
}

/// The text of the piece that stands for a byte: `<0x0A>`.
func bytePiece(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16, uppercase: true)
  return "<0x" + (byte < 16 ? "0" : "") + digits + ">"
}

/// How pieces of a SentencePiece BPE come about: the library joins the two neighbours whose joined text has the best score.
struct PieceDerivation {
  private var scores: [ExactString: Float] = [:]

  init(_ model: SentencePieceModel) {
    scores.reserveCapacity(model.pieces.count)
    for piece in model.pieces where [.normal, .userDefined, .unused].contains(piece.kind) {
      scores[ExactString(piece.text)] = piece.score
    }
  }

  /// The texts that a piece goes through until it is one; empty for one that is never made by joining.
  func parts(of piece: String) -> [String] {
    var symbols = piece.unicodeScalars.map { String($0) }
    var all = symbols
    while symbols.count > 1 {
      var best: (score: Float, position: Int, text: String)?
      for position in 0..<symbols.count - 1 {
        let text = symbols[position] + symbols[position + 1]
        guard let score = scores[ExactString(text)] else { continue }
        if best.map({ score > $0.score }) ?? true { best = (score, position, text) }
      }
      guard let best else { return [] }
      symbols[best.position] = best.text
      symbols.remove(at: best.position + 1)
      all.append(best.text)
    }
    return all
  }
}
