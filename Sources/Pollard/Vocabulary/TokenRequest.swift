/// Where the list of tokens that stay comes from.
public enum TokenRequest: Sendable, Hashable {
  /// A file of tokens: one to a line, ids, or a JSON list.
  case tokens(file: String)
  /// The ids of a corpus: those that occur stay.
  case corpus(file: String)
  /// A mask file with `vocab_mask [V]`.
  case mask(file: String)

  /// The file.
  var path: String {
    switch self {
    case .tokens(let file), .corpus(let file), .mask(let file): file
    }
  }
}
