import PollardBase

/// A token that is found in a text before anything else happens to the text.
struct AddedToken: Sendable, Equatable {
  /// The text.
  var content: String
  /// Whether decoding can leave it out: begin, end, roles of a chat.
  var isSpecial = false
  /// Whether it is looked for in the normalised text rather than in the text as given.
  var isNormalized = true
  /// Whether it takes the white space to its left.
  var stripsLeft = false
  /// Whether it takes the white space to its right.
  var stripsRight = false
  /// Whether it is only found between characters that are not part of words.
  var isSingleWord = false

  /// A token that is given by its text alone.
  init(_ content: String, isSpecial: Bool) {
    self.content = content
    self.isSpecial = isSpecial
    isNormalized = !isSpecial
  }

  /// A token of tokenizer.json or tokenizer_config.json, or nil when there is no content.
  init?(_ value: JSONValue) {
    guard let content = value["content"]?.stringValue else { return nil }
    self.content = content
    isSpecial = value["special"]?.boolValue ?? false
    isNormalized = value["normalized"]?.boolValue ?? !isSpecial
    stripsLeft = value["lstrip"]?.boolValue ?? false
    stripsRight = value["rstrip"]?.boolValue ?? false
    isSingleWord = value["single_word"]?.boolValue ?? false
  }

  static func == (a: Self, b: Self) -> Bool {
    haveSameBytes(a.content, b.content) && a.isSpecial == b.isSpecial && a.isNormalized == b.isNormalized
      && a.stripsLeft == b.stripsLeft && a.stripsRight == b.stripsRight && a.isSingleWord == b.isSingleWord
  }
}
