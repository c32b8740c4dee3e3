import CheckpointFormats
import GraphExecution
import PollardBase
import TensorStorage

/// Runtime tensors by name, read from or written to safetensors.
enum TensorFile {
  /// Most bytes of an input file: inputs are held in memory.
  private static let sizeLimit = 4 << 30

  /// Reads every tensor of a file.
  static func read(_ path: String) throws -> [String: Tensor] {
    let file = try SafetensorsFile(path: path)
    guard file.source.size <= sizeLimit else {
      throw FormatError(
        .cannotRead, file: path, expected: "at most \(humanBytes(sizeLimit)) of inputs",
        found: humanBytes(file.source.size))
    }
    var result: [String: Tensor] = [:]
    for record in file.tensors { result[record.name] = try Tensor(reading: file.weight(record)) }
    return result
  }

  /// A tensor's content as it is written.
  static func weight(_ tensor: Tensor) -> Weight {
    let shape = Shape(tensor.extents)
    switch tensor.type {
    case .i64, .i32: return .integers(tensor.integers(), shape: shape)
    case .bool: return .literal(bytes: tensor.truths().map { $0 ? 1 : 0 }, type: .bool, shape: shape)
    case .f64:
      let bytes = tensor.doubles().flatMap { value in
        (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt64($0))) }
      }
      return .literal(bytes: bytes, type: .f64, shape: shape)
    default: return .floats(tensor.floats(), shape: shape)
    }
  }
}
