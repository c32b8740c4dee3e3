import CheckpointFormats
import GraphExecution
import PollardBase
import TensorStorage

/// Why a test of the suite is not run, or cannot be.
struct NotApplicable: Error {
  var reason: String
}

extension ONNXTensor {
  /// The type, the extents, and the bytes as `raw_data` would hold them.
  func content() throws -> (type: ElementType, extents: [Int], bytes: [UInt8]) {
    guard let type = ONNXDataType(rawValue: dataType ?? 0)?.elementType else {
      throw NotApplicable(reason: "element type \(dataType ?? 0)")
    }
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
}

extension ONNXSequence {
  /// The sequence of tensors in memory.
  func value() throws -> Tensor { Tensor(sequence: try tensors.map { try $0.tensor() }) }
}
