import PollardBase

/// A named constant of a node, or the place where a function's parameter is put: `AttributeProto`.
///
/// `value()` reads the payload that the type asks for; the fields are as the file has them.
public struct ONNXAttribute: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `f`.
  public var float: Float? { didSet { wire.touch() } }
  /// `i`.
  public var integer: Int64? { didSet { wire.touch() } }
  /// `s`: bytes, by convention UTF-8.
  public var string: ByteString? { didSet { wire.touch() } }
  /// `t`.
  @Apart public var tensor: ONNXTensor? { didSet { wire.touch() } }
  /// `g`.
  @Apart public var graph: ONNXGraph? { didSet { wire.touch() } }
  /// `floats`.
  public var floats: [Float] = [] { didSet { wire.touch() } }
  /// `ints`.
  public var integers: [Int64] = [] { didSet { wire.touch() } }
  /// `strings`.
  public var strings: [ByteString] = [] { didSet { wire.touch() } }
  /// `tensors`.
  public var tensors: [ONNXTensor] = [] { didSet { wire.touch() } }
  /// `graphs`.
  public var graphs: [ONNXGraph] = [] { didSet { wire.touch() } }
  /// `doc_string`.
  public var documentation: ByteString? { didSet { wire.touch() } }
  /// `tp`.
  @Apart public var valueType: ONNXType? { didSet { wire.touch() } }
  /// `type_protos`.
  public var valueTypes: [ONNXType] = [] { didSet { wire.touch() } }
  /// `type`: a raw value of `Kind`.
  public var type: Int32? { didSet { wire.touch() } }
  /// `ref_attr_name`: the function's attribute whose value is meant.
  public var referenceName: ByteString? { didSet { wire.touch() } }
  /// `sparse_tensor`.
  @Apart public var sparseTensor: ONNXSparseTensor? { didSet { wire.touch() } }
  /// `sparse_tensors`.
  public var sparseTensors: [ONNXSparseTensor] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXAttribute: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &name)
    try visitor.float(2, &float)
    try visitor.integer(3, &integer)
    try visitor.bytes(4, &string)
    try visitor.message(5, &tensor)
    try visitor.message(6, &graph)
    try visitor.floats(7, &floats)
    try visitor.integers(8, &integers)
    try visitor.byteStrings(9, &strings)
    try visitor.messages(10, &tensors)
    try visitor.messages(11, &graphs)
    try visitor.bytes(13, &documentation)
    try visitor.message(14, &valueType)
    try visitor.messages(15, &valueTypes)
    try visitor.enumeration(20, &type, 0...14)
    try visitor.bytes(21, &referenceName)
    try visitor.message(22, &sparseTensor)
    try visitor.messages(23, &sparseTensors)
  }
}
