import CheckpointFormats
import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// The interface of a model has a value that is no tensor, or one of an unknown type.
  public static let unsupportedValueType = Self("unsupportedValueType", "values of this type are not supported")
  /// The body of a function or of a conditional does not fit the node that uses it.
  public static let callMismatch = Self(
    "callMismatch", "the node and the graph or function it runs do not fit together")
  /// A change cannot be written as an edit of the file that the model was read from.
  public static let cannotWriteBack = Self("cannotWriteBack", "the change cannot be written into this file's form")
}
