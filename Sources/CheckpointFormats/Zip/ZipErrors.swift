import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// The archive's directory or one of its headers is not of the structure that the format asks for.
  public static let zipMalformed = Self("zipMalformed", "the zip archive is malformed")
  /// The archive uses encryption, several volumes, or a compression other than deflate.
  public static let zipUnsupported = Self("zipUnsupported", "the zip archive uses what is not supported")
  /// Two entries have one name, overlap, or reach outside their folder.
  public static let zipHostile = Self("zipHostile", "the zip archive is not one that a writer makes")
  /// The bytes of an entry are not those that were written.
  public static let checksumMismatch = Self("checksumMismatch", "the bytes do not fit their checksum")
  /// Deflated data is damaged, or not as long as the archive says.
  public static let deflateMalformed = Self("deflateMalformed", "the compressed data is damaged")
}
