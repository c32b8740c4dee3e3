import CheckpointFormats
import GraphExecution
import PollardBase
import TensorStorage

/// Runtime tensors by name, read from safetensors, NumPy and PyTorch files, written to safetensors and NumPy archives.
enum TensorFile {
  /// Most bytes of an input file: inputs are held in memory.
  private static let sizeLimit = 4 << 30

  /// Reads every tensor of a file.
  static func read(_ path: String) throws -> [String: Tensor] {
    let source = try FileSource(path: path)
    guard source.size <= sizeLimit else {
      throw FormatError(
        .cannotRead, file: path, expected: "at most \(humanBytes(sizeLimit)) of inputs", found: humanBytes(source.size))
    }
    var result: [String: Tensor] = [:]
    for (name, weight) in try namedWeights(source) { result[name] = try Tensor(reading: weight) }
    return result
  }

  /// The tensors of a file of any format that holds tensors by name, lazily.
  static func namedWeights(_ source: FileSource) throws(FormatError) -> [(name: String, weight: Weight)] {
    if try NumPyFile.recognizes(source) { return try NumPyFile(source).arrays }
    if try PyTorchFile.recognizes(source) {
      let file = try PyTorchFile(source)
      try file.checkStorages(pool: ThreadPool(threadCount: 1))
      var weights: [(name: String, weight: Weight)] = []
      for tensor in file.tensors {
        if let weight = try file.weight(tensor.name) { weights.append((tensor.name, weight)) }
      }
      return weights
    }
    let file = try SafetensorsFile(source)
    return file.tensors.map { ($0.name, file.weight($0)) }
  }

  /// Writes tensors by name: a NumPy archive where the path ends in `.npz`, else safetensors.
  static func write(
    _ tensors: [(name: String, weight: Weight)], to path: String, replacing: Bool, inputs: [String], pool: ThreadPool
  ) throws(FormatError) {
    guard path.hasSuffix(".npz") else {
      return try writeSafetensors(tensors, to: path, replacing: replacing, inputs: inputs, pool: pool)
    }
    let output = try AtomicFile(path: path, replacing: replacing, inputs: inputs)
    try NumPyWriter.writeArchive(tensors, to: output.file)
    try output.commit()
  }

  /// A tensor's content as it is written: integers in their own type, doubles as F64, other floating-point numbers as F32.
  ///
  /// - Parameter name: the tensor's, for the error.
  /// - Throws: `GraphError` `unsupported` for strings, which no file of tensors holds.
  static func weight(_ tensor: Tensor, named name: String) throws(GraphError) -> Weight {
    let shape = Shape(tensor.extents)
    switch tensor.type {
    case .string:
      throw GraphError(
        .unsupported, subject: .value(name), expected: "numbers or truth values, as files of tensors hold them",
        found: "STRING\(tensor.extents)", remedy: "leave out --outputs, or cast the value in the model")
    case .bool: return .literal(bytes: tensor.truths().map { $0 ? 1 : 0 }, type: .bool, shape: shape)
    case .f64: return .literal(bytes: bytes(of: tensor.doubles().map(\.bitPattern), 8), type: .f64, shape: shape)
    case let type where !type.isFloatingPoint:
      let numbers = tensor.integers().map { UInt64(bitPattern: $0) }
      return .literal(bytes: bytes(of: numbers, type.byteCount ?? 1), type: type, shape: shape)
    default: return .floats(tensor.floats(), shape: shape)
    }
  }

  /// The low bytes of numbers, little-endian.
  private static func bytes(of numbers: [UInt64], _ width: Int) -> [UInt8] {
    numbers.flatMap { number in (0..<width).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64($0))) } }
  }
}
