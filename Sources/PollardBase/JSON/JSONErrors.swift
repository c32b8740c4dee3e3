extension DiagnosticCode where Domain == FormatDomain {
  /// The bytes are not one JSON text.
  public static let malformedJSON = Self("malformedJSON", "the JSON text is malformed")
  /// An object holds the same key twice.
  public static let duplicateKey = Self("duplicateKey", "the same key occurs twice in one JSON object")
  /// Objects and arrays are nested more deeply than any real file needs.
  public static let nestingTooDeep = Self("nestingTooDeep", "the JSON text is nested too deeply")
  /// The bytes are not UTF-8.
  public static let notUTF8 = Self("notUTF8", "the text is not UTF-8")
}
