import PollardBase

/// Joins the characters of a word by merges, the one of lowest rank first.
///
/// Source: Sennrich et al. 2016, algorithm 1, with the options of the tokenizers library.
struct BytePairEncoder {
  private struct Pair: Hashable {
    let left: Int
    let right: Int
  }

  private let vocabulary: [ExactString: Int]
  private var merges: [Pair: (rank: Int, result: Int)] = [:]
  private let ignoresMerges: Bool
  private let fallsBackToBytes: Bool
  private let unknown: Int?

  /// An encoder, or nil when the model has an option that it does not know or a merge of unknown tokens.
  init?(_ model: JSONValue, vocabulary: [ExactString: Int]) {
    for option in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = model[option]?.stringValue, !text.isEmpty { return nil }
    }
    self.vocabulary = vocabulary
    ignoresMerges = model["ignore_merges"]?.boolValue ?? false
    fallsBackToBytes = model["byte_fallback"]?.boolValue ?? false
    unknown = model["unk_token"]?.stringValue.flatMap { vocabulary[ExactString($0)] }
    let list = model["merges"]?.arrayValue ?? []
    merges.reserveCapacity(list.count)
    for (rank, merge) in list.enumerated() {
      guard let (left, right) = Self.parts(of: merge) else { return nil }
      guard let leftID = vocabulary[ExactString(left)], let rightID = vocabulary[ExactString(right)],
        let result = vocabulary[ExactString(left + right)]
      else { return nil }
      merges[Pair(left: leftID, right: rightID)] = (rank, result)
    }
  }

  /// The two texts of a merge.
  static func parts(of merge: JSONValue) -> (String, String)? {
    if let pair = merge.arrayValue {
      guard pair.count == 2, let left = pair[0].stringValue, let right = pair[1].stringValue else { return nil }
      return (left, right)
    }
    guard let text = merge.stringValue, let space = text.utf8.firstIndex(of: 0x20) else { return nil }
    return (String(text[..<space]), String(text[text.utf8.index(after: space)...]))
  }

  /// The ids of a word.
  func identifiers(of word: [UnicodeScalar]) -> [Int] {
    var text = ""
    text.unicodeScalars.append(contentsOf: word)
    if ignoresMerges, let id = vocabulary[ExactString(text)] { return [id] }
    var ids = word.flatMap(identifiers(of:))
    while ids.count > 1 {
      var best: (rank: Int, position: Int, result: Int)?
      for position in 0..<ids.count - 1 {
        guard let merge = merges[Pair(left: ids[position], right: ids[position + 1])] else { continue }
        if best.map({ merge.rank < $0.rank }) ?? true { best = (merge.rank, position, merge.result) }
      }
      guard let best else { break }
      ids[best.position] = best.result
      ids.remove(at: best.position + 1)
    }
    return ids
  }

  private func identifiers(of scalar: UnicodeScalar) -> [Int] {
    let text = String(scalar)
    if let id = vocabulary[ExactString(text)] { return [id] }
    if fallsBackToBytes {
      let bytes = text.utf8.compactMap { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        return vocabulary[ExactString("<0x" + (digits.utf8.count < 2 ? "0" : "") + digits + ">")]
      }
      if bytes.count == text.utf8.count { return bytes }
    }
    return unknown.map { [$0] } ?? []
  }
}
