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
