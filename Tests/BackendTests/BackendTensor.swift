import CheckpointFormats
import GraphExecution
import PollardBase
import TensorStorage

/// Why a test of the suite is not run, or cannot be.
struct NotApplicable: Error {
  var reason: String
}

extension ElementType {
  /// The element type of ONNX's number for it.
  init(onnx number: Int32?) throws {
    let types: [Int32: ElementType] = [
      1: .f32, 2: .u8, 3: .i8, 4: .u16, 5: .i16, 6: .i32, 7: .i64, 8: .string, 9: .bool, 10: .f16, 11: .f64, 12: .u32,
      13: .u64, 14: .c64, 15: .c128, 16: .bf16, 17: .f8e4m3, 18: .f8e4m3fnuz, 19: .f8e5m2, 20: .f8e5m2fnuz, 21: .u4,
      22: .i4, 23: .f4, 24: .f8e8m0, 25: .u2, 26: .i2, 27: .f6e2m3, 28: .f6e3m2,
    ]
    guard let number, let type = types[number] else { throw NotApplicable(reason: "element type \(number ?? 0)") }
    self = type
  }
}

extension ONNXTensor {
  /// The type, the extents, and the bytes as `raw_data` would hold them.
  func content() throws -> (type: ElementType, extents: [Int], bytes: [UInt8]) {
    let type = try ElementType(onnx: dataType)
    let extents = dimensions.map { Int($0) }
    if let rawData { return (type, extents, try rawData.bytes()) }
    var bytes: [UInt8] = []
    func append<Value: FixedWidthInteger>(_ value: Value) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    for value in try floatData.values() { append(value.bitPattern) }
    for value in try doubleData.values() { append(value.bitPattern) }
    for value in try int64Data.values() { append(value) }
    for value in try uint64Data.values() {
      if type == .u32 { append(UInt32(truncatingIfNeeded: value)) } else { append(value) }
    }
    for value in try int32Data.values() {
      switch type.bitCount {
      case 32: append(value)
      case 16: append(Int16(truncatingIfNeeded: value))
      default: append(Int8(truncatingIfNeeded: value))
      }
    }
    return (type, extents, bytes)
  }

  /// The tensor in memory.
  func tensor() throws -> Tensor {
    if dataType == 8 {
      return Tensor(strings: stringData.map(\.bytes), extents: dimensions.map { Int($0) })
    }
    let (type, extents, bytes) = try content()
    guard let tensor = Tensor(bytes: bytes, type: type, extents: extents) else {
      throw NotApplicable(reason: "element type \(type)")
    }
    return tensor
  }

  /// The tensor as a constant of a graph.
  func weight() throws -> Weight {
    let (type, extents, bytes) = try content()
    guard type != .string, let shape = Shape(checking: extents, of: type), shape.byteCount(of: type) == bytes.count
    else {
      throw NotApplicable(reason: "constants of type \(type)")
    }
    return .literal(bytes: bytes, type: type, shape: shape)
  }
}
