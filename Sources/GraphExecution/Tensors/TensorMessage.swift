import ModelGraph
import PollardBase
import TensorStorage

/// A tensor in ONNX's own encoding, kept as it is in the file where no weight can hold it: strings, and elements of less than a byte that do
/// not fill whole ones.
///
/// The message is a protobuf `TensorProto`, or an `AttributeProto` around one: dims = 1, data_type = 2, string_data = 6, raw_data = 9; an
/// attribute holds its tensor in field 5.
///
/// - Source: onnx.proto3, messages TensorProto and AttributeProto.
struct TensorMessage {
  private(set) var extents: [Int] = []
  private(set) var type: ElementType?
  private(set) var strings: [[UInt8]] = []
  private(set) var raw: [UInt8]?
  private var nested: [UInt8]?

  /// Nil when the bytes are no such message.
  init?(_ bytes: [UInt8]) {
    self.init(fields: bytes)
    if type == nil, let nested { self.init(fields: nested) }
    if type == nil { return nil }
  }

  private init?(fields bytes: [UInt8]) {
    var reader = FieldReader(bytes: bytes)
    while let field = reader.next() {
      switch (field.number, field.content) {
      case (1, .number(let value)): extents.append(Int(truncatingIfNeeded: value))
      case (1, .bytes(let packed)):
        var inner = FieldReader(bytes: packed)
        while let value = inner.number() { extents.append(Int(truncatingIfNeeded: value)) }
      case (2, .number(let value)): type = Int(exactly: value).flatMap { castTargets[$0] }
      case (5, .bytes(let content)): nested = content
      case (6, .bytes(let content)): strings.append(content)
      case (9, .bytes(let content)): raw = content
      default: break
      }
    }
    if !reader.isAtEnd { return nil }
  }

  /// The tensor, or nil when there are more or fewer elements than the extents say.
  func tensor(_ precision: ComputingPrecision) -> Tensor? {
    guard let type, extents.allSatisfy({ $0 >= 0 }), let shape = Shape(checking: extents, of: .f64) else { return nil }
    if type == .string {
      return shape.elementCount == strings.count ? Tensor(strings: strings, extents: extents) : nil
    }
    return raw.flatMap { Tensor(bytes: $0, type: type, extents: extents, precision: precision) }
  }
}

/// The fields of a protobuf message, one after the other.
private struct FieldReader {
  enum Content {
    case number(UInt64)
    case bytes([UInt8])
  }

  let bytes: [UInt8]
  private var place = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { place == bytes.count }

  /// A number in groups of seven bits, lowest first.
  mutating func number() -> UInt64? {
    var result: UInt64 = 0
    var shift: UInt64 = 0
    var end = place
    while end < bytes.count, shift < 64 {
      result |= UInt64(bytes[end] & 0x7F) << shift
      end += 1
      if bytes[end - 1] < 0x80 {
        place = end
        return result
      }
      shift += 7
    }
    return nil
  }

  mutating func next() -> (number: UInt64, content: Content)? {
    guard !isAtEnd, let key = number() else { return nil }
    func take(_ count: Int) -> [UInt8]? { count <= bytes.count - place ? Array(bytes[place..<place + count]) : nil }
    switch key & 7 {
    case 0: return number().map { (key >> 3, .number($0)) }
    case 1, 5:
      guard let content = take(key & 7 == 1 ? 8 : 4) else { return nil }
      place += content.count
      return (key >> 3, .bytes(content))
    case 2:
      guard let length = number().flatMap({ Int(exactly: $0) }), let content = take(length) else { return nil }
      place += length
      return (key >> 3, .bytes(content))
    default: return nil
    }
  }
}

extension EvaluationContext {
  /// A tensor that an attribute holds, in memory.
  func tensorAttribute(_ name: String) throws -> Tensor? {
    switch node.attributes[name] {
    case .tensor(let weight): return try Tensor(reading: weight, memory: memory)
    case .opaque(let message): return TensorMessage(try message.bytes())?.tensor(memory.precision)
    default: return nil
    }
  }
}
