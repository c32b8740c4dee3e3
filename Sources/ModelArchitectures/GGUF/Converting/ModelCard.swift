import PollardBase

/// The front matter of a model card: the part of YAML that the hub's cards are made of.
///
/// Keys at the margin with plain or quoted scalars, and lists of them in either notation. What is nested deeper is left out.
struct ModelCard {
  /// The keys with a string, a list of strings, or null.
  private(set) var members: [String: JSONValue] = [:]

  init(_ text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0.last == "\r" ? String($0.dropLast()) : String($0)
    }
    guard lines.first == "---" else { return }
    var key: String?
    var list: [JSONValue] = []
    func finish() {
      if let key, !list.isEmpty { members[key] = .array(list) }
      list = []
    }
    for line in lines.dropFirst() {
      if line == "---" { break }
      let content = line.drop { $0 == " " || $0 == "\t" }
      if content.isEmpty || content.first == "#" { continue }
      if content.hasPrefix("- ") {
        guard key != nil else { continue }
        let item = content.dropFirst(2)
        if let value = Self.scalar(item), !Self.isMapping(item) { list.append(value) }
        continue
      }
      guard content.startIndex == line.startIndex, let colon = Self.colon(in: content) else { continue }
      finish()
      let name = Self.unquoted(content[..<colon])
      let rest = content[content.index(after: colon)...].drop { $0 == " " }
      key = name
      if rest.first == "[", rest.last == "]" {
        let items = rest.dropFirst().dropLast().split(separator: ",")
        members[name] = .array(items.compactMap { Self.scalar($0) })
        key = nil
      } else if ![">", "|", ">-", "|-"].contains(rest) {
        members[name] = Self.scalar(rest) ?? .null
      }
    }
    finish()
  }

  /// The text of a value that is one.
  static func text(_ value: JSONValue) -> String? {
    if let list = value.arrayValue {
      let texts = list.compactMap(\.stringValue)
      return texts.isEmpty ? nil : texts.joined(separator: ",")
    }
    return value.stringValue
  }

  /// The texts of a list, or of a single value.
  static func list(_ value: JSONValue?) -> [String] {
    value?.arrayValue?.compactMap(\.stringValue) ?? value?.stringValue.map { [$0] } ?? []
  }

  private static func colon(in text: Substring) -> Substring.Index? {
    text.indices.first { index in
      text[index] == ":" && (text.index(after: index) == text.endIndex || text[text.index(after: index)] == " ")
    }
  }

  private static func isMapping(_ text: Substring) -> Bool {
    text.first != "\"" && text.first != "'" && colon(in: text) != nil
  }

  private static func unquoted(_ text: Substring) -> String {
    let trimmed = text.trimmingSpaces
    if let first = trimmed.first, first == "\"" || first == "'", trimmed.count > 1, trimmed.last == first {
      return String(trimmed.dropFirst().dropLast())
    }
    return String(trimmed)
  }

  /// A scalar as text; nil for none.
  private static func scalar(_ text: Substring) -> JSONValue? {
    var trimmed = text.trimmingSpaces
    let isQuoted = trimmed.first == "\"" || trimmed.first == "'"
    if !isQuoted, let comment = trimmed.firstRange(of: " #") { trimmed = trimmed[..<comment.lowerBound].trimmingSpaces }
    if trimmed.isEmpty || (!isQuoted && ["~", "null", "Null", "NULL"].contains(trimmed)) { return nil }
    return JSONValue(unquoted(trimmed))
  }
}

extension Substring {
  fileprivate var trimmingSpaces: Substring {
    let start = drop { $0 == " " || $0 == "\t" }
    var end = start.endIndex
    while end > start.startIndex, " \t".contains(start[start.index(before: end)]) { end = start.index(before: end) }
    return start[..<end]
  }
}
