import PollardBase

/// A whole ONNX file: `ModelProto`.
///
/// Scalars that the file leaves out are nil, which readers take for zero or empty.
public struct ONNXModel: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `ir_version`: the version of the file format, not of the operators.
  public var irVersion: Int64? { didSet { wire.touch() } }
  /// `producer_name`.
  public var producerName: ByteString? { didSet { wire.touch() } }
  /// `producer_version`.
  public var producerVersion: ByteString? { didSet { wire.touch() } }
  /// `domain`, a name in reverse-DNS form.
  public var domain: ByteString? { didSet { wire.touch() } }
  /// `model_version`.
  public var modelVersion: Int64? { didSet { wire.touch() } }
  /// `doc_string`.
  public var documentation: ByteString? { didSet { wire.touch() } }
  /// `graph`.
  public var graph: ONNXGraph? { didSet { wire.touch() } }
  /// `opset_import`: the version of each operator domain.
  public var operatorSets: [ONNXOperatorSet] = [] { didSet { wire.touch() } }
  /// `metadata_props`: keys and values of whoever wrote the file.
  public var metadata: [ONNXEntry] = [] { didSet { wire.touch() } }
  /// `training_info`.
  public var trainingInformation: [ONNXTrainingInformation] = [] { didSet { wire.touch() } }
  /// `functions`: operators that the model defines.
  public var functions: [ONNXFunction] = [] { didSet { wire.touch() } }
  /// `configuration`: hints for several devices.
  public var deviceConfigurations: [ONNXDeviceConfiguration] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXModel: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &irVersion)
    try visitor.bytes(2, &producerName)
    try visitor.bytes(3, &producerVersion)
    try visitor.bytes(4, &domain)
    try visitor.integer(5, &modelVersion)
    try visitor.bytes(6, &documentation)
    try visitor.message(7, &graph)
    try visitor.messages(8, &operatorSets)
    try visitor.messages(14, &metadata)
    try visitor.messages(20, &trainingInformation)
    try visitor.messages(25, &functions)
    try visitor.messages(26, &deviceConfigurations)
  }
}

extension ONNXModel {
  /// The version of an operator domain; "" and "ai.onnx" are one domain. The highest of several imports counts.
  public func operatorSetVersion(domain: ByteString) -> Int64? { operatorSets.version(of: domain) }
}
