import PollardBase

/// The type of a value: `TypeProto`. At most one alternative is set; setting one clears the others.
public struct ONNXType: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `tensor_type`.
  public var tensor: ONNXTensorType? {
    didSet {
      wire.touch()
      if tensor != nil { clearAlternatives(but: 1) }
    }
  }
  /// `sequence_type`.
  @Apart public var sequence: ONNXElementType? {
    didSet {
      wire.touch()
      if sequence != nil { clearAlternatives(but: 4) }
    }
  }
  /// `map_type`.
  @Apart public var map: ONNXMapType? {
    didSet {
      wire.touch()
      if map != nil { clearAlternatives(but: 5) }
    }
  }
  /// `denotation`.
  public var denotation: ByteString? { didSet { wire.touch() } }
  /// `opaque_type`.
  @Apart public var opaque: ONNXOpaqueType? {
    didSet {
      wire.touch()
      if opaque != nil { clearAlternatives(but: 7) }
    }
  }
  /// `sparse_tensor_type`.
  @Apart public var sparseTensor: ONNXTensorType? {
    didSet {
      wire.touch()
      if sparseTensor != nil { clearAlternatives(but: 8) }
    }
  }
  /// `optional_type`.
  @Apart public var optional: ONNXElementType? {
    didSet {
      wire.touch()
      if optional != nil { clearAlternatives(but: 9) }
    }
  }

  /// An empty message.
  public init() {}
}

extension ONNXType: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.message(1, &tensor)
    try visitor.message(4, &sequence)
    try visitor.message(5, &map)
    try visitor.bytes(6, &denotation)
    try visitor.message(7, &opaque)
    try visitor.message(8, &sparseTensor)
    try visitor.message(9, &optional)
  }
}

extension ONNXType {
  private mutating func clearAlternatives(but kept: Int) {
    if kept != 1, tensor != nil { tensor = nil }
    if kept != 4, sequence != nil { sequence = nil }
    if kept != 5, map != nil { map = nil }
    if kept != 7, opaque != nil { opaque = nil }
    if kept != 8, sparseTensor != nil { sparseTensor = nil }
    if kept != 9, optional != nil { optional = nil }
  }

  /// A dense tensor; a nil shape is one of unknown rank.
  public init(_ type: ONNXDataType, shape: [ONNXDimension]?) {
    self.init()
    var tensor = ONNXTensorType()
    tensor.elementType = type.rawValue
    tensor.shape = shape.map { ONNXShape($0) }
    self.tensor = tensor
  }
}

/// Element type and shape: `TypeProto.Tensor` and `TypeProto.SparseTensor`.
public struct ONNXTensorType: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `elem_type`: a raw value of `ONNXDataType`.
  public var elementType: Int32? { didSet { wire.touch() } }
  /// `shape`; nil when the rank is unknown.
  public var shape: ONNXShape? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXTensorType: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &elementType)
    try visitor.message(2, &shape)
  }
}

/// The extents of a tensor: `TensorShapeProto`. None is a scalar.
public struct ONNXShape: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `dim`.
  public var dimensions: [ONNXDimension] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXShape: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.messages(1, &dimensions)
  }
}

extension ONNXShape {
  /// Extents, known or not.
  public init(_ dimensions: [ONNXDimension]) {
    self.init()
    self.dimensions = dimensions
  }
}

/// One extent: a number, a name, or unknown: `TensorShapeProto.Dimension`.
///
/// Equal names are equal sizes in the whole model. Setting one alternative clears the other.
public struct ONNXDimension: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `dim_value`.
  public var value: Int64? {
    didSet {
      wire.touch()
      if value != nil, parameter != nil { parameter = nil }
    }
  }
  /// `dim_param`.
  public var parameter: ByteString? {
    didSet {
      wire.touch()
      if parameter != nil, value != nil { value = nil }
    }
  }
  /// `denotation`.
  public var denotation: ByteString? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXDimension: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &value)
    try visitor.bytes(2, &parameter)
    try visitor.bytes(3, &denotation)
  }
}

extension ONNXDimension {
  /// A known extent.
  public init(_ value: Int64) {
    self.init()
    self.value = value
  }

  /// A named extent.
  public init(named name: ByteString) {
    self.init()
    parameter = name
  }
}

/// The type of what a sequence or an optional value holds: `TypeProto.Sequence` and `TypeProto.Optional`.
public struct ONNXElementType: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `elem_type`.
  @Apart public var element: ONNXType? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXElementType: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.message(1, &element)
  }
}

/// Keys and values of a map: `TypeProto.Map`.
public struct ONNXMapType: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `key_type`: a raw value of `ONNXDataType`.
  public var keyType: Int32? { didSet { wire.touch() } }
  /// `value_type`.
  @Apart public var valueType: ONNXType? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXMapType: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &keyType)
    try visitor.message(2, &valueType)
  }
}

/// A type that only its own operators know: `TypeProto.Opaque`.
public struct ONNXOpaqueType: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `domain`.
  public var domain: ByteString? { didSet { wire.touch() } }
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXOpaqueType: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &domain)
    try visitor.bytes(2, &name)
  }
}
