import PollardBase

extension DiagnosticCode where Domain == GraphDomain {
  /// A tensor that the graph needs was not given.
  public static let missingInput = Self("missingInput", "the graph needs this input")
  /// A tensor was given under a name that the graph does not know.
  public static let unknownInput = Self("unknownInput", "the graph has no such input")
  /// A value was asked for that the graph does not have.
  public static let unknownValue = Self("unknownValue", "the graph has no such value")
  /// An input or operand has another element type than its use needs.
  public static let typeMismatch = Self("typeMismatch", "the element type does not fit the use")
  /// An index lies outside of the axis it selects from.
  public static let indexOutOfRange = Self("indexOutOfRange", "an index lies outside of its axis")
  /// A tensor would take more memory than the machine has.
  public static let tooLarge = Self("tooLarge", "the tensor does not fit into memory")
}

extension DiagnosticCode where Domain == GraphDomain {
  /// An integer is divided by zero.
  public static let divisionByZero = Self("divisionByZero", "an integer is divided by zero")
}
