import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// The header of a NumPy array is not of the structure that the format asks for.
  public static let numpyMalformed = Self("numpyMalformed", "the NumPy array is malformed")
  /// A NumPy array holds objects, texts, dates, records, or numbers without a type.
  public static let numpyUnsupported = Self("numpyUnsupported", "this kind of NumPy array is not read")
}
