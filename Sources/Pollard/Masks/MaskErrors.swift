import PollardBase

extension DiagnosticCode where Domain == CompactionDomain {
  /// A mask file holds something that is not a mask.
  public static let unknownMask = Self("unknownMask", "this is not a mask")
  /// A list of units names one the model does not have.
  public static let maskIndex = Self("maskIndex", "there is no such unit")
  /// A list of units does not say whether it keeps or removes.
  public static let maskVerb = Self(
    "maskVerb", "a list of units needs exactly one of the verbs \"remove\" and \"keep\"")
}
