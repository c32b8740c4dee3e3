import PollardBase

/// A call of an operator or of a function of the model: `NodeProto`.
///
/// An empty name among inputs or outputs is one that is left out; positions count.
public struct ONNXNode: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `input`.
  public var inputs: [ByteString] = [] { didSet { wire.touch() } }
  /// `output`.
  public var outputs: [ByteString] = [] { didSet { wire.touch() } }
  /// `name`, for messages; need not be there or be unique.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `op_type`.
  public var operatorType: ByteString? { didSet { wire.touch() } }
  /// `attribute`.
  public var attributes: [ONNXAttribute] = [] { didSet { wire.touch() } }
  /// `doc_string`.
  public var documentation: ByteString? { didSet { wire.touch() } }
  /// `domain` of the operator; absent, empty and "ai.onnx" are the standard one.
  public var domain: ByteString? { didSet { wire.touch() } }
  /// `overload` of the function that is called.
  public var overload: ByteString? { didSet { wire.touch() } }
  /// `metadata_props`: keys and values of whoever wrote the file.
  public var metadata: [ONNXEntry] = [] { didSet { wire.touch() } }
  /// `device_configurations`.
  public var deviceConfigurations: [ONNXNodeDeviceConfiguration] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXNode: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.byteStrings(1, &inputs)
    try visitor.byteStrings(2, &outputs)
    try visitor.bytes(3, &name)
    try visitor.bytes(4, &operatorType)
    try visitor.messages(5, &attributes)
    try visitor.bytes(6, &documentation)
    try visitor.bytes(7, &domain)
    try visitor.bytes(8, &overload)
    try visitor.messages(9, &metadata)
    try visitor.messages(10, &deviceConfigurations)
  }
}

extension ONNXNode {
  /// Makes a call.
  public init(
    _ operatorType: ByteString, domain: ByteString? = nil, name: ByteString? = nil, inputs: [ByteString],
    outputs: [ByteString], attributes: [ONNXAttribute] = []
  ) {
    self.init()
    self.operatorType = operatorType
    self.domain = domain
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
  }

  /// The attribute of a name; assigning replaces it in its place, appends it, or with nil removes it.
  public subscript(attribute name: ByteString) -> ONNXAttribute? {
    get { attributes.first { $0.name == name } }
    set {
      switch (attributes.firstIndex { $0.name == name }, newValue) {
      case (let index?, let value?): attributes[index] = value
      case (let index?, nil): attributes.remove(at: index)
      case (nil, let value?): attributes.append(value)
      case (nil, nil): break
      }
    }
  }
}
