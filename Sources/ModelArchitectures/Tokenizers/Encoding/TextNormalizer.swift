import PollardBase

/// What tokenizer.json's `normalizer` makes of a text.
///
/// Canonical forms (NFC, NFD) are taken as the identity: they are for texts that are in both already. Of the compatibility forms
/// only full-width signs are mapped.
enum TextNormalizer {
  /// The normalised text, or nil when a normaliser is not known.
  static func normalized(_ text: [UnicodeScalar], by normalizer: JSONValue) -> [UnicodeScalar]? {
    if normalizer.isNull { return text }
    switch normalizer["type"]?.stringValue {
    case "Sequence":
      var result = text
      for part in normalizer["normalizers"]?.arrayValue ?? [] {
        guard let next = normalized(result, by: part) else { return nil }
        result = next
      }
      return result
    case "NFC", "NFD": return text
    case "NFKC", "NFKD":
      return text.map { scalar in
        (0xFF01...0xFF5E).contains(scalar.value) ? UnicodeScalar(scalar.value - 0xFEE0) ?? scalar : scalar
      }
    case "Lowercase": return lowercased(text)
    case "StripAccents": return text.filter { !generalCategoryName(of: $0).hasPrefix("M") }
    case "Strip":
      var result = text[...]
      if normalizer["strip_left"]?.boolValue ?? true { result = result.drop { $0.properties.isWhitespace } }
      if normalizer["strip_right"]?.boolValue ?? true {
        while result.last?.properties.isWhitespace ?? false { result.removeLast() }
      }
      return Array(result)
    case "Prepend":
      guard let prefix = normalizer["prepend"]?.stringValue else { return nil }
      return text.isEmpty ? text : Array(prefix.unicodeScalars) + text
    case "Replace": return replaced(text, by: normalizer)
    case "BertNormalizer": return bert(text, normalizer)
    default: return nil
    }
  }

  private static func lowercased(_ text: [UnicodeScalar]) -> [UnicodeScalar] {
    text.flatMap { Array($0.properties.lowercaseMapping.unicodeScalars) }
  }

  private static func replaced(_ text: [UnicodeScalar], by normalizer: JSONValue) -> [UnicodeScalar]? {
    guard let content = normalizer["content"]?.stringValue, let pattern = normalizer["pattern"],
      let matches = PreTokenizer.matches(of: pattern, in: text)
    else { return nil }
    var result: [UnicodeScalar] = []
    var position = 0
    for match in matches {
      result += text[position..<match.lowerBound]
      result += content.unicodeScalars
      position = match.upperBound
    }
    return result + text[position...]
  }

  private static func bert(_ text: [UnicodeScalar], _ options: JSONValue) -> [UnicodeScalar] {
    var result = text
    if options["clean_text"]?.boolValue ?? true {
      result = result.compactMap { scalar in
        switch scalar {
        case "\t", "\n", "\r": return " "
        case "\0", "\u{FFFD}": return nil
        default:
          if generalCategoryName(of: scalar).hasPrefix("C") { return nil }
          return scalar.properties.isWhitespace ? " " : scalar
        }
      }
    }
    if options["handle_chinese_chars"]?.boolValue ?? true {
      result = result.flatMap { isChinese($0) ? [" ", $0, " "] : [$0] }
    }
    let lowercases = options["lowercase"]?.boolValue ?? true
    if options["strip_accents"]?.boolValue ?? lowercases {
      result = result.filter { generalCategoryName(of: $0) != "Mn" }
    }
    return lowercases ? lowercased(result) : result
  }

  private static func isChinese(_ scalar: UnicodeScalar) -> Bool {
    switch scalar.value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
      0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }
}
