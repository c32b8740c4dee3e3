import PollardBase

/// Nodes in topological order, with their constants and the graph's signature: `GraphProto`.
///
/// A model's own graph, or one inside an attribute of `If`, `Loop` or `Scan`, whose nodes also see the values around it.
public struct ONNXGraph: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `node`.
  public var nodes: [ONNXNode] = [] { didSet { wire.touch() } }
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `initializer`: named constants.
  public var initializers: [ONNXTensor] = [] { didSet { wire.touch() } }
  /// `doc_string`.
  public var documentation: ByteString? { didSet { wire.touch() } }
  /// `input`. An initializer of the same name is a default that callers may override (IR 4 and newer).
  public var inputs: [ONNXValueInfo] = [] { didSet { wire.touch() } }
  /// `output`.
  public var outputs: [ONNXValueInfo] = [] { didSet { wire.touch() } }
  /// `value_info`: types of other values, initializers among them.
  public var valueInfo: [ONNXValueInfo] = [] { didSet { wire.touch() } }
  /// `quantization_annotation`.
  public var quantizationAnnotations: [ONNXTensorAnnotation] = [] { didSet { wire.touch() } }
  /// `sparse_initializer`: named by their values.
  public var sparseInitializers: [ONNXSparseTensor] = [] { didSet { wire.touch() } }
  /// `metadata_props`: keys and values of whoever wrote the file.
  public var metadata: [ONNXEntry] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXGraph: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.messages(1, &nodes)
    try visitor.bytes(2, &name)
    try visitor.messages(5, &initializers)
    try visitor.bytes(10, &documentation)
    try visitor.messages(11, &inputs)
    try visitor.messages(12, &outputs)
    try visitor.messages(13, &valueInfo)
    try visitor.messages(14, &quantizationAnnotations)
    try visitor.messages(15, &sparseInitializers)
    try visitor.messages(16, &metadata)
  }
}

/// Names of the scale and zero point of a quantised value: `TensorAnnotation`.
public struct ONNXTensorAnnotation: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `tensor_name`.
  public var tensorName: ByteString? { didSet { wire.touch() } }
  /// `quant_parameter_tensor_names`; keys are `SCALE_TENSOR` and `ZERO_POINT_TENSOR`.
  public var parameterNames: [ONNXEntry] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXTensorAnnotation: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &tensorName)
    try visitor.messages(2, &parameterNames)
  }
}
