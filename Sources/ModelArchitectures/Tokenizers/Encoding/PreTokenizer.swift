import PollardBase

/// How tokenizer.json's `pre_tokenizer` divides a text into words.
enum PreTokenizer {
  typealias Text = [UnicodeScalar]

  /// The words, or nil when a pre-tokenizer is not known or its pattern takes too long.
  static func words(of text: Text, by preTokenizer: JSONValue) -> [Text]? {
    if preTokenizer.isNull { return text.isEmpty ? [] : [text] }
    if preTokenizer["type"]?.stringValue == "Sequence" {
      var words = [text]
      for part in preTokenizer["pretokenizers"]?.arrayValue ?? [] {
        var next: [Text] = []
        for word in words {
          guard let pieces = divided(word, by: part) else { return nil }
          next += pieces
        }
        words = next
      }
      return words
    }
    return divided(text, by: preTokenizer)
  }

  /// The ranges in a text that a `pattern` object matches: `{"String": …}` or `{"Regex": …}`.
  static func matches(of pattern: JSONValue, in text: Text) -> [Range<Int>]? {
    if let regex = pattern["Regex"]?.stringValue { return ScalarPattern(regex)?.matches(in: text) }
    guard let literal = pattern["String"]?.stringValue.map({ Array($0.unicodeScalars) }), !literal.isEmpty else {
      return nil
    }
    var result: [Range<Int>] = []
    var position = 0
    while position + literal.count <= text.count {
      if text[position..<position + literal.count].elementsEqual(literal) {
        result.append(position..<position + literal.count)
        position += literal.count
      } else {
        position += 1
      }
    }
    return result
  }

  private static func divided(_ text: Text, by step: JSONValue) -> [Text]? {
    switch step["type"]?.stringValue {
    case "Sequence": return words(of: text, by: step)
    case "ByteLevel": return byteLevel(text, step)
    case "Split":
      guard let pattern = step["pattern"], let matches = matches(of: pattern, in: text) else { return nil }
      return split(
        text, matches, behavior: step["behavior"]?.stringValue, inverted: step["invert"]?.boolValue ?? false)
    case "Digits":
      let ranges = runs(of: text, individual: step["individual_digits"]?.boolValue ?? false) {
        generalCategoryName(of: $0).hasPrefix("N")
      }
      return split(text, ranges, behavior: "Isolated", inverted: false)
    case "Punctuation":
      let ranges = runs(of: text, individual: true, where: isPunctuation)
      return split(text, ranges, behavior: step["behavior"]?.stringValue ?? "Isolated", inverted: false)
    case "Whitespace":
      return ScalarPattern(#"\w+|[^\w\s]+"#)?.matches(in: text).map { $0.map { Array(text[$0]) } }
    case "WhitespaceSplit": return text.split { $0.properties.isWhitespace }.map(Array.init)
    case "BertPreTokenizer":
      return text.split { $0.properties.isWhitespace }.flatMap { word in
        let word = Array(word)
        return split(
          word, runs(of: word, individual: true, where: isPunctuation), behavior: "Isolated", inverted: false) ?? []
      }
    case "CharDelimiterSplit":
      guard let delimiter = step["delimiter"]?.stringValue?.unicodeScalars.first else { return nil }
      return text.split { $0 == delimiter }.map(Array.init)
    default: return nil
    }
  }

  /// ASCII signs and what Unicode calls punctuation.
  private static func isPunctuation(_ scalar: UnicodeScalar) -> Bool {
    switch scalar.value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
    default: generalCategoryName(of: scalar).hasPrefix("P")
    }
  }

  private static func runs(
    of text: Text, individual: Bool, where isMember: (UnicodeScalar) -> Bool
  ) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for (position, scalar) in text.enumerated() where isMember(scalar) {
      if !individual, let last = result.last, last.upperBound == position {
        result[result.count - 1] = last.lowerBound..<position + 1
      } else {
        result.append(position..<position + 1)
      }
    }
    return result
  }

  private static func byteLevel(_ text: Text, _ step: JSONValue) -> [Text]? {
    var text = text
    if step["add_prefix_space"]?.boolValue ?? true, let first = text.first, first != " " { text.insert(" ", at: 0) }
    var words = [text]
    if step["use_regex"]?.boolValue ?? true {
      guard let matches = ScalarPattern(SplitPatterns.gpt2)?.matches(in: text),
        let pieces = split(text, matches, behavior: "Isolated", inverted: false)
      else { return nil }
      words = pieces
    }
    return words.map { word in
      var bytes = ""
      bytes.unicodeScalars.append(contentsOf: word)
      return Array(ByteAlphabet.encoded(bytes.utf8).unicodeScalars)
    }
  }

  /// Divides a text at its matches; nil for a behaviour that is not known.
  private static func split(
    _ text: Text, _ matches: [Range<Int>], behavior: String?, inverted: Bool
  ) -> [Text]? {
    var parts: [(range: Range<Int>, isMatch: Bool)] = []
    var position = 0
    for match in matches {
      if match.lowerBound > position { parts.append((position..<match.lowerBound, inverted)) }
      parts.append((match, !inverted))
      position = match.upperBound
    }
    if position < text.count { parts.append((position..<text.count, inverted)) }
    var ranges: [Range<Int>] = []
    switch behavior {
    case "Isolated": ranges = parts.map(\.range)
    case "Removed": ranges = parts.filter { !$0.isMatch }.map(\.range)
    case "Contiguous":
      var previous: Bool?
      for part in parts {
        if part.isMatch == previous, let last = ranges.popLast() {
          ranges.append(last.lowerBound..<part.range.upperBound)
        } else {
          ranges.append(part.range)
        }
        previous = part.isMatch
      }
    case "MergedWithPrevious":
      var previousWasMatch = false
      for part in parts {
        if part.isMatch, !previousWasMatch, let last = ranges.popLast() {
          ranges.append(last.lowerBound..<part.range.upperBound)
        } else {
          ranges.append(part.range)
        }
        previousWasMatch = part.isMatch
      }
    case "MergedWithNext":
      var previousWasMatch = false
      for part in parts.reversed() {
        if part.isMatch, !previousWasMatch, let last = ranges.popLast() {
          ranges.append(part.range.lowerBound..<last.upperBound)
        } else {
          ranges.append(part.range)
        }
        previousWasMatch = part.isMatch
      }
      ranges.reverse()
    default: return nil
    }
    return ranges.map { Array(text[$0]) }
  }
}
