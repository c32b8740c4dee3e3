import PollardBase

extension DiagnosticCode where Domain == FormatDomain {
  /// The bytes are not protobuf: a record is cut off, too long, or of no known kind.
  public static let protobufMalformed = Self("protobufMalformed", "the protobuf record is malformed")
  /// Messages or groups lie inside each other more than a hundred deep.
  public static let nestedTooDeeply = Self("nestedTooDeeply", "messages are nested too deeply")
  /// A protobuf message must stay below 2 GiB.
  public static let messageTooLarge = Self("messageTooLarge", "the message is larger than protobuf allows")
  /// Reading would take far more memory than the file has bytes.
  public static let tooManyRecords = Self("tooManyRecords", "the file has more records than a model can need")
  /// The bytes are protobuf, but no model.
  public static let notONNX = Self("notONNX", "this is not an ONNX model")
  /// The version of the file format is one that is not known.
  public static let unsupportedIRVersion = Self("unsupportedIRVersion", "the ir_version is not supported")
  /// The version of an operator domain is missing or impossible.
  public static let operatorSetMissing = Self("operatorSetMissing", "the operator set is missing")
  /// The type of an attribute and its value do not go together.
  public static let attributeMalformed = Self("attributeMalformed", "the attribute has no value of its type")
  /// A tensor contradicts itself.
  public static let tensorMalformed = Self("tensorMalformed", "the tensor is malformed")
  /// A value is defined twice.
  public static let duplicateValue = Self("duplicateValue", "two values have the same name")
  /// A value is used that nothing defines.
  public static let undefinedValue = Self("undefinedValue", "the value is used but not defined")
  /// A value is used before the node that makes it.
  public static let nodesOutOfOrder = Self("nodesOutOfOrder", "the nodes are not in topological order")
  /// Nodes need each other's results.
  public static let cyclicNodes = Self("cyclicNodes", "the nodes form a cycle")
  /// Functions of the model call each other in a circle, or too deeply.
  public static let functionRecursion = Self(
    "functionRecursion", "the functions of the model call each other too deeply")
  /// Two functions of the model have one identity.
  public static let duplicateFunction = Self("duplicateFunction", "two functions have the same name")
  /// A graph breaks another rule.
  public static let graphMalformed = Self("graphMalformed", "the graph is malformed")
  /// The entries that say where a tensor's data are make no sense.
  public static let externalDataMalformed = Self("externalDataMalformed", "the external data entry is malformed")
  /// The data are said to be outside the model's folder.
  public static let externalDataEscapes = Self(
    "externalDataEscapes", "the external data are outside the model's folder")
  /// The data's file is not there.
  public static let externalDataMissing = Self("externalDataMissing", "the external data file is missing")
  /// The data's range is not inside the data's file.
  public static let externalDataOutsideFile = Self(
    "externalDataOutsideFile", "the external data reach past the end of their file")
}
