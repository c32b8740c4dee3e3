import PollardBase

/// An operator that the model defines by nodes: `FunctionProto`.
///
/// Nodes call it by domain, name and overload. It sees nothing but its inputs.
public struct ONNXFunction: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `input`.
  public var inputs: [ByteString] = [] { didSet { wire.touch() } }
  /// `output`.
  public var outputs: [ByteString] = [] { didSet { wire.touch() } }
  /// `attribute`: names of parameters without a default.
  public var attributes: [ByteString] = [] { didSet { wire.touch() } }
  /// `node`.
  public var nodes: [ONNXNode] = [] { didSet { wire.touch() } }
  /// `doc_string`.
  public var documentation: ByteString? { didSet { wire.touch() } }
  /// `opset_import` of its own nodes.
  public var operatorSets: [ONNXOperatorSet] = [] { didSet { wire.touch() } }
  /// `domain`.
  public var domain: ByteString? { didSet { wire.touch() } }
  /// `attribute_proto`: parameters with a default.
  public var attributeDefaults: [ONNXAttribute] = [] { didSet { wire.touch() } }
  /// `value_info`.
  public var valueInfo: [ONNXValueInfo] = [] { didSet { wire.touch() } }
  /// `overload`.
  public var overload: ByteString? { didSet { wire.touch() } }
  /// `metadata_props`: keys and values of whoever wrote the file.
  public var metadata: [ONNXEntry] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXFunction: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &name)
    try visitor.byteStrings(4, &inputs)
    try visitor.byteStrings(5, &outputs)
    try visitor.byteStrings(6, &attributes)
    try visitor.messages(7, &nodes)
    try visitor.bytes(8, &documentation)
    try visitor.messages(9, &operatorSets)
    try visitor.bytes(10, &domain)
    try visitor.messages(11, &attributeDefaults)
    try visitor.messages(12, &valueInfo)
    try visitor.bytes(13, &overload)
    try visitor.messages(14, &metadata)
  }
}
