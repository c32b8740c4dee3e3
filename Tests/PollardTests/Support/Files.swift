import CheckpointFormats
import GraphExecution
import PollardBase
import TensorStorage

/// Whole files and folders, as tests need them.
enum Files {
  static func bytes(_ path: String) throws -> [UInt8] {
    let source = try FileSource(path: path)
    return try source.bytes(0..<source.size)
  }

  static func text(_ path: String) throws -> String { String(decoding: try bytes(path), as: UTF8.self) }

  static func write(_ path: String, _ bytes: [UInt8]) throws {
    let file = try AtomicFile(path: path, replacing: true)
    try file.file.write(bytes)
    try file.commit()
  }

  static func json(_ path: String) throws -> JSONValue { try JSONValue(parsing: bytes(path)) }

  /// Changes one value of a JSON file.
  static func set(_ key: String, to value: JSONValue?, in path: String) throws {
    let document = try json(path)
    let changed = value.map { document.settingKey(key, to: $0) } ?? document.removingKey(key)
    try write(path, changed.serializedBytes(.pretty))
  }

  static func copy(_ source: String, to target: String) throws {
    try Directories.create(target)
    for name in try Directories.names(in: source) {
      let path = Paths.join(source, name)
      if Directories.kind(of: path) == .directory {
        try copy(path, to: Paths.join(target, name))
      } else {
        try write(Paths.join(target, name), bytes(path))
      }
    }
  }

  /// Everything in a folder, subfolders included, by relative name.
  static func contents(of folder: String, _ prefix: String = "") throws -> [String: [UInt8]] {
    var result: [String: [UInt8]] = [:]
    for name in try Directories.names(in: folder) {
      let path = Paths.join(folder, name)
      if Directories.kind(of: path) == .directory {
        result.merge(try contents(of: path, prefix + name + "/")) { $1 }
      } else {
        result[prefix + name] = try bytes(path)
      }
    }
    return result
  }
}

/// Tensors of checkpoints and of single safetensors files.
enum Tensors {
  /// The tensors of a folder or file: name, type, shape, and their stored bytes.
  static func stored(_ path: String) throws -> [String: StoredTensor] {
    let checkpoint = try Checkpoint(at: path)
    var result: [String: StoredTensor] = [:]
    for tensor in checkpoint.tensors {
      result[tensor.name] = StoredTensor(
        type: tensor.type.name, shape: tensor.shape.extents, bytes: try checkpoint.weight(tensor).bytes(),
        file: checkpoint.fileNames[tensor.file])
    }
    return result
  }

  /// Every tensor of a safetensors file, in double precision.
  static func doubles(_ path: String) throws -> [String: (extents: [Int], values: [Double])] {
    let file = try SafetensorsFile(path: path)
    var result: [String: (extents: [Int], values: [Double])] = [:]
    for record in file.tensors {
      let tensor = try Tensor(reading: file.weight(record))
      result[record.name] =
        switch tensor.type {
        case .i64, .i32: (tensor.extents, tensor.integers().map(Double.init))
        case .f64: (tensor.extents, tensor.doubles())
        default: (tensor.extents, tensor.floats().map(Double.init))
        }
    }
    return result
  }

  /// Changes the bytes of one tensor where it lies.
  static func change(_ name: String, in folder: String, _ body: (inout ArraySlice<UInt8>) -> Void) throws {
    let checkpoint = try Checkpoint(at: folder)
    guard let tensor = checkpoint[name] else { throw FormatError(.cannotRead, file: folder, subject: .tensor(name)) }
    let path = checkpoint.files[tensor.file].source.path
    var bytes = try Files.bytes(path)
    body(&bytes[tensor.byteRange])
    try Files.write(path, bytes)
  }

  /// Flips one bit of a tensor; bit 0 of byte 0 is the least of the first element.
  static func flipBit(_ bit: Int = 0, ofByte byte: Int, of name: String, in folder: String) throws {
    try change(name, in: folder) { bytes in bytes[bytes.startIndex + byte] ^= 1 << bit }
  }

  /// Writes a safetensors file as the reference writer does.
  static func write(_ tensors: [(name: String, type: ElementType, shape: [Int], bytes: [UInt8])], to path: String)
    throws
  {
    let layout = try SafetensorsLayout(
      tensors.map { TensorDeclaration(name: $0.name, type: $0.type, shape: Shape($0.shape)) },
      metadata: ["format": "pt"])
    var bytes = layout.header
    for position in layout.givenPositions { bytes += tensors[position].bytes }
    try Files.write(path, bytes)
  }
}

/// A tensor as a file holds it.
struct StoredTensor: Equatable {
  var type: String
  var shape: [Int]
  var bytes: [UInt8]
  var file: String

  var elementCount: Int { shape.reduce(1, *) }
}
