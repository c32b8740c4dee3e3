import PollardBase

extension DiagnosticCode where Domain == CompactionDomain {
  /// No conversion leads from the input's format to the one that was asked for.
  public static let noConversion = Self("noConversion", "this conversion does not exist")
  /// The output's format does not have the type that was asked for.
  public static let typeNotInFormat = Self("typeNotInFormat", "the output's format does not have this type")
  /// An option was given where it means nothing.
  public static let optionDoesNotApply = Self("optionDoesNotApply", "the option does not apply here")
  /// Models have other numbers of units, and nothing tells which unit of one is which of the other.
  public static let cannotCompare = Self("cannotCompare", "nothing tells which units of the two models are the same")
  /// Models of different types are compared, and no tolerance is known for the pair.
  public static let noTolerance = Self("noTolerance", "no tolerance is known for these types")
}
