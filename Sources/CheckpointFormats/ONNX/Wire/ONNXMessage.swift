import PollardBase

/// A message of the ONNX schema.
///
/// Each message lists its fields once, in ascending order of their numbers, in `visit`; decoding, sizing and encoding are
/// visitors. A message that has been decoded knows the bytes it came from until one of its properties, or one of a message
/// inside it, is assigned; the encoder copies those bytes.
package protocol ONNXMessage: Sendable {
  init()
  var wire: ONNXWire { get set }
  mutating func visit(_ visitor: inout some ONNXFieldVisitor) throws(FormatError)
}

/// What a message keeps of the bytes that it was read from.
public struct ONNXWire: Sendable {
  /// The message's own bytes, without tag and length; nil once it has been changed, or when it was made here.
  public package(set) var source: ONNXSlice?
  /// Records that the schema does not know, whole, in their order; they are written after the known ones.
  public package(set) var unknownRecords: [ONNXSlice] = []

  package init() {}

  /// Forgets the bytes, since the message is no longer what they say.
  @inline(__always)
  mutating func touch() { source = nil }
}

/// What is done with the fields of a message, one call for each.
package protocol ONNXFieldVisitor {
  /// `int64`, or another varint of 64 bits.
  mutating func integer(_ number: Int, _ value: inout Int64?) throws(FormatError)
  /// `int32`; a wider value is cut to its low 32 bits.
  mutating func integer(_ number: Int, _ value: inout Int32?) throws(FormatError)
  /// A closed enumeration; other values are unknown records.
  mutating func enumeration(_ number: Int, _ value: inout Int32?, _ known: ClosedRange<Int32>) throws(FormatError)
  mutating func float(_ number: Int, _ value: inout Float?) throws(FormatError)
  /// `string` or `bytes`.
  mutating func bytes(_ number: Int, _ value: inout ByteString?) throws(FormatError)
  mutating func byteStrings(_ number: Int, _ values: inout [ByteString]) throws(FormatError)
  /// Written one record each; read packed as well.
  mutating func integers(_ number: Int, _ values: inout [Int64]) throws(FormatError)
  /// Written one record each; read packed as well.
  mutating func floats(_ number: Int, _ values: inout [Float]) throws(FormatError)
  /// Tensor elements, written packed; read one record each as well.
  mutating func elements<Element: ONNXElement>(
    _ number: Int, _ values: inout ONNXElements<Element>
  ) throws(FormatError)
  /// `bytes` that stay where they are.
  mutating func payload(_ number: Int, _ value: inout ONNXPayload?) throws(FormatError)
  mutating func message<Message: ONNXMessage>(_ number: Int, _ value: inout Message?) throws(FormatError)
  mutating func messages<Message: ONNXMessage>(_ number: Int, _ values: inout [Message]) throws(FormatError)
}

/// An optional message that is held apart, so that messages may contain themselves and rare parts take little room.
@propertyWrapper
public struct Apart<Value: Sendable>: Sendable {
  private var storage: [Value]

  /// The value.
  public var wrappedValue: Value? {
    get { storage.first }
    set {
      if let newValue { storage = [newValue] } else { storage = [] }
    }
  }

  /// Holds a value.
  public init(wrappedValue: Value?) { storage = wrappedValue.map { [$0] } ?? [] }
}
