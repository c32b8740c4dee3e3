import PollardBase

/// A list of values, as test data holds it: `SequenceProto`.
public struct ONNXSequence: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `elem_type`: 1 tensors, 2 sparse tensors, 3 sequences, 4 maps, 5 optional values.
  public var elementKind: Int32? { didSet { wire.touch() } }
  /// `tensor_values`.
  public var tensors: [ONNXTensor] = [] { didSet { wire.touch() } }
  /// `sparse_tensor_values`.
  public var sparseTensors: [ONNXSparseTensor] = [] { didSet { wire.touch() } }
  /// `sequence_values`.
  public var sequences: [ONNXSequence] = [] { didSet { wire.touch() } }
  /// `map_values`.
  public var maps: [ONNXMap] = [] { didSet { wire.touch() } }
  /// `optional_values`.
  public var optionals: [ONNXOptional] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXSequence: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &name)
    try visitor.integer(2, &elementKind)
    try visitor.messages(3, &tensors)
    try visitor.messages(4, &sparseTensors)
    try visitor.messages(5, &sequences)
    try visitor.messages(6, &maps)
    try visitor.messages(7, &optionals)
  }
}

/// A map, as test data holds it: `MapProto`.
public struct ONNXMap: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `key_type`: a raw value of `ONNXDataType`.
  public var keyType: Int32? { didSet { wire.touch() } }
  /// `keys`.
  public var keys: [Int64] = [] { didSet { wire.touch() } }
  /// `string_keys`.
  public var stringKeys: [ByteString] = [] { didSet { wire.touch() } }
  /// `values`.
  @Apart public var values: ONNXSequence? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXMap: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &name)
    try visitor.integer(2, &keyType)
    try visitor.integers(3, &keys)
    try visitor.byteStrings(4, &stringKeys)
    try visitor.message(5, &values)
  }
}

/// A value that may be missing, as test data holds it: `OptionalProto`.
public struct ONNXOptional: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `elem_type`, as in `ONNXSequence`.
  public var elementKind: Int32? { didSet { wire.touch() } }
  /// `tensor_value`.
  @Apart public var tensor: ONNXTensor? { didSet { wire.touch() } }
  /// `sparse_tensor_value`.
  @Apart public var sparseTensor: ONNXSparseTensor? { didSet { wire.touch() } }
  /// `sequence_value`.
  @Apart public var sequence: ONNXSequence? { didSet { wire.touch() } }
  /// `map_value`.
  @Apart public var map: ONNXMap? { didSet { wire.touch() } }
  /// `optional_value`.
  @Apart public var optional: ONNXOptional? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXOptional: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &name)
    try visitor.integer(2, &elementKind)
    try visitor.message(3, &tensor)
    try visitor.message(4, &sparseTensor)
    try visitor.message(5, &sequence)
    try visitor.message(6, &map)
    try visitor.message(7, &optional)
  }
}
