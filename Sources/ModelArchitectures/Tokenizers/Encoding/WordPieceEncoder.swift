import PollardBase

/// Divides a word into the longest pieces that the vocabulary has, from left to right.
struct WordPieceEncoder {
  private let vocabulary: [ExactString: Int]
  private let prefix: String
  private let longest: Int
  private let unknown: Int?

  init(_ model: JSONValue, vocabulary: [ExactString: Int]) {
    self.vocabulary = vocabulary
    prefix = model["continuing_subword_prefix"]?.stringValue ?? "##"
    longest = model["max_input_chars_per_word"]?.intValue ?? 100
    unknown = model["unk_token"]?.stringValue.flatMap { vocabulary[ExactString($0)] }
  }

  /// The ids of a word, or nil when it is unknown and there is no token for that.
  func identifiers(of word: [UnicodeScalar]) -> [Int]? {
    guard word.count <= longest else { return unknown.map { [$0] } }
    var result: [Int] = []
    var start = 0
    while start < word.count {
      let found = (start + 1...word.count).reversed().lazy.compactMap { end -> (Int, Int)? in
        var text = start > 0 ? prefix : ""
        text.unicodeScalars.append(contentsOf: word[start..<end])
        return vocabulary[ExactString(text)].map { ($0, end) }
      }.first
      guard let found else { return unknown.map { [$0] } }
      result.append(found.0)
      start = found.1
    }
    return result
  }
}
