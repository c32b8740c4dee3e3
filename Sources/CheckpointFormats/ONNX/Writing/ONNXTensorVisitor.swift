import PollardBase

extension ONNXMessage {
  /// The message with some of its tensors replaced, at every depth, or nil when none was; everything else keeps its bytes.
  ///
  /// `body` gives the replacement, or nil to keep the tensor. `isInitializer` tells a graph's own constants from tensors
  /// inside attributes.
  package func replacingTensors(
    _ body: (_ tensor: ONNXTensor, _ isInitializer: Bool) throws(FormatError) -> ONNXTensor?
  ) throws(FormatError) -> Self? {
    try withoutActuallyEscaping(body) { body throws(FormatError) in
      var visitor = ONNXTensorVisitor(body: body)
      return try visitor.replaced(self)
    }
  }
}

/// Reaches every tensor of a message. A message is assigned only when a tensor inside it has been replaced.
private struct ONNXTensorVisitor: ONNXFieldVisitor {
  let body: (ONNXTensor, Bool) throws(FormatError) -> ONNXTensor?
  private var hasReplaced = false
  private var isInGraph = false

  init(body: @escaping (ONNXTensor, Bool) throws(FormatError) -> ONNXTensor?) { self.body = body }

  mutating func replaced<Message: ONNXMessage>(_ message: Message) throws(FormatError) -> Message? {
    if let tensor = message as? ONNXTensor { return try body(tensor, isInGraph) as? Message }
    let outer = (hasReplaced, isInGraph)
    hasReplaced = false
    isInGraph = message is ONNXGraph
    var copy = message
    try copy.visit(&self)
    let hasReplacedHere = hasReplaced
    (hasReplaced, isInGraph) = (outer.0 || hasReplacedHere, outer.1)
    return hasReplacedHere ? copy : nil
  }

  mutating func message<Message: ONNXMessage>(_ number: Int, _ value: inout Message?) throws(FormatError) {
    guard let message = value, let replacement = try replaced(message) else { return }
    value = replacement
    hasReplaced = true
  }

  mutating func messages<Message: ONNXMessage>(_ number: Int, _ values: inout [Message]) throws(FormatError) {
    for index in values.indices {
      guard let replacement = try replaced(values[index]) else { continue }
      values[index] = replacement
      hasReplaced = true
    }
  }

  mutating func integer(_ number: Int, _ value: inout Int64?) throws(FormatError) {}
  mutating func integer(_ number: Int, _ value: inout Int32?) throws(FormatError) {}
  mutating func enumeration(_ number: Int, _ value: inout Int32?, _ known: ClosedRange<Int32>) throws(FormatError) {}
  mutating func float(_ number: Int, _ value: inout Float?) throws(FormatError) {}
  mutating func bytes(_ number: Int, _ value: inout ByteString?) throws(FormatError) {}
  mutating func byteStrings(_ number: Int, _ values: inout [ByteString]) throws(FormatError) {}
  mutating func integers(_ number: Int, _ values: inout [Int64]) throws(FormatError) {}
  mutating func floats(_ number: Int, _ values: inout [Float]) throws(FormatError) {}
  mutating func elements<Element: ONNXElement>(
    _ number: Int, _ values: inout ONNXElements<Element>
  ) throws(FormatError) {}
  mutating func payload(_ number: Int, _ value: inout ONNXPayload?) throws(FormatError) {}
}
