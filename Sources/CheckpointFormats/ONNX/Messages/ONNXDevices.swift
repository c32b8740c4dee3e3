import PollardBase

/// Devices that a model may be spread over: `DeviceConfigurationProto`.
public struct ONNXDeviceConfiguration: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `name`.
  public var name: ByteString? { didSet { wire.touch() } }
  /// `num_devices`.
  public var deviceCount: Int32? { didSet { wire.touch() } }
  /// `device`.
  public var devices: [ByteString] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXDeviceConfiguration: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &name)
    try visitor.integer(2, &deviceCount)
    try visitor.byteStrings(3, &devices)
  }
}

/// Where a node may run: `NodeDeviceConfigurationProto`. A hint.
public struct ONNXNodeDeviceConfiguration: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `configuration_id`.
  public var configuration: ByteString? { didSet { wire.touch() } }
  /// `sharding_spec`.
  public var sharding: [ONNXSharding] = [] { didSet { wire.touch() } }
  /// `pipeline_stage`.
  public var pipelineStage: Int32? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXNodeDeviceConfiguration: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &configuration)
    try visitor.messages(2, &sharding)
    try visitor.integer(3, &pipelineStage)
  }
}

/// How a tensor may be spread over devices: `ShardingSpecProto`.
public struct ONNXSharding: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `tensor_name`.
  public var tensorName: ByteString? { didSet { wire.touch() } }
  /// `device`.
  public var devices: [Int64] = [] { didSet { wire.touch() } }
  /// `index_to_device_group_map`.
  public var groups: [ONNXDeviceGroup] = [] { didSet { wire.touch() } }
  /// `sharded_dim`.
  public var axes: [ONNXShardedAxis] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXSharding: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.bytes(1, &tensorName)
    try visitor.integers(2, &devices)
    try visitor.messages(3, &groups)
    try visitor.messages(4, &axes)
  }
}

/// A number that stands for several devices: `IntIntListEntryProto`.
public struct ONNXDeviceGroup: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `key`.
  public var key: Int64? { didSet { wire.touch() } }
  /// `value`.
  public var values: [Int64] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXDeviceGroup: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &key)
    try visitor.integers(2, &values)
  }
}

/// How an axis is divided: `ShardedDimProto`.
public struct ONNXShardedAxis: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `axis`.
  public var axis: Int64? { didSet { wire.touch() } }
  /// `simple_sharding`.
  public var parts: [ONNXShardedExtent] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXShardedAxis: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &axis)
    try visitor.messages(2, &parts)
  }
}

/// A part of an axis: `SimpleShardedDimProto`. Setting one alternative clears the other.
public struct ONNXShardedExtent: Sendable {
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
  /// `num_shards`.
  public var shardCount: Int64? { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXShardedExtent: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.integer(1, &value)
    try visitor.bytes(2, &parameter)
    try visitor.integer(3, &shardCount)
  }
}
