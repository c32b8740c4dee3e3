import PollardBase

/// A tensor and where its elements are: `TensorProto`.
///
/// Elements are in `rawData`, in one of the typed fields, or in another file; `ONNXFile.weight(of:)` reads them all alike.
public struct ONNXTensor: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `dims`; none for a scalar.
  public var dimensions: [Int64] = [] { didSet { wire.touch() } }
  /// `data_type`: a raw value of `ONNXDataType`.
  public var dataType: Int32? { didSet { wire.touch() } }
  /// `segment`, which no reader supports.
  @Apart public var segment: ONNXTensorSegment? { didSet { wire.touch() } }
  /// `float_data`: FLOAT, and COMPLEX64 as pairs.
  public var floatData: ONNXElements<Float> = ONNXElements() { didSet { wire.touch() } }
  /// `int32_data`: INT32 and everything narrower, as values or bit patterns.
  public var int32Data: ONNXElements<Int32> = ONNXElements() { didSet { wire.touch() } }
  /// `string_data`.
  public var stringData: [ByteString] = [] { didSet { wire.touch() } }
  /// `int64_data`.
  public var int64Data: ONNXElements<Int64> = ONNXElements() { didSet { wire.touch() } }
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `raw_data`: little-endian elements, row-major.
  public var rawData: ONNXPayload? { didSet { wire.touch() } }
  /// `double_data`: DOUBLE, and COMPLEX128 as pairs.
  public var doubleData: ONNXElements<Double> = ONNXElements() { didSet { wire.touch() } }
  /// `uint64_data`: UINT64 and UINT32.
  public var uint64Data: ONNXElements<UInt64> = ONNXElements() { didSet { wire.touch() } }
  /// `doc_string`.
  public var documentation: ByteString? { didSet { wire.touch() } }
  /// `external_data`: location, offset and length in another file.
  public var externalData: [ONNXEntry] = [] { didSet { wire.touch() } }
  /// `data_location`: 1 when the elements are in another file.
  public var dataLocation: Int32? { didSet { wire.touch() } }
  /// `metadata_props`: keys and values of whoever wrote the file.
  public var metadata: [ONNXEntry] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXTensor: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integers(1, &dimensions)
    try visitor.integer(2, &dataType)
    try visitor.message(3, &segment)
    try visitor.elements(4, &floatData)
    try visitor.elements(5, &int32Data)
    try visitor.byteStrings(6, &stringData)
    try visitor.elements(7, &int64Data)
    try visitor.bytes(8, &name)
    try visitor.payload(9, &rawData)
    try visitor.elements(10, &doubleData)
    try visitor.elements(11, &uint64Data)
    try visitor.bytes(12, &documentation)
    try visitor.messages(13, &externalData)
    try visitor.enumeration(14, &dataLocation, 0...1)
    try visitor.messages(16, &metadata)
  }
}

/// A part of a tensor: `TensorProto.Segment`.
public struct ONNXTensorSegment: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `begin`.
  public var begin: Int64? { didSet { wire.touch() } }
  /// `end`.
  public var end: Int64? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXTensorSegment: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &begin)
    try visitor.integer(2, &end)
  }
}

/// The elements of a tensor that are not zero, and where they are: `SparseTensorProto`.
public struct ONNXSparseTensor: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `values`, of shape [count]; its name is the sparse tensor's.
  @Apart public var values: ONNXTensor? { didSet { wire.touch() } }
  /// `indices`: INT64 of shape [count] or [count, rank], ascending.
  @Apart public var indices: ONNXTensor? { didSet { wire.touch() } }
  /// `dims` of the dense tensor.
  public var dimensions: [Int64] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXSparseTensor: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.message(1, &values)
    try visitor.message(2, &indices)
    try visitor.integers(3, &dimensions)
  }
}
