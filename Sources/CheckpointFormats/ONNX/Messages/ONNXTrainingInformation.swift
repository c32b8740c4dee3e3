import PollardBase

/// How a model is trained: `TrainingInfoProto`.
public struct ONNXTrainingInformation: Sendable {
  /// Where the message was read from, and what of it the schema does not know.
  public package(set) var wire = ONNXWire()
  /// `initialization`.
  @Apart public var initialization: ONNXGraph? { didSet { wire.touch() } }
  /// `algorithm`.
  @Apart public var algorithm: ONNXGraph? { didSet { wire.touch() } }
  /// `initialization_binding`.
  public var initializationBindings: [ONNXEntry] = [] { didSet { wire.touch() } }
  /// `update_binding`.
  public var updateBindings: [ONNXEntry] = [] { didSet { wire.touch() } }

  /// An empty message.
  public init() {}
}

extension ONNXTrainingInformation: ONNXMessage {
  package mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError) {
    try visitor.message(1, &initialization)
    try visitor.message(2, &algorithm)
    try visitor.messages(3, &initializationBindings)
    try visitor.messages(4, &updateBindings)
  }
}
