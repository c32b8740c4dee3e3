import CheckpointFormats
import PollardBase
import TensorStorage

/// What Python's struct module found in a file of the golden set.
struct GGUFDescription: Sendable, CustomStringConvertible {
  let file: String
  let path: String
  let version: Int
  let isBig: Bool
  let alignment: Int
  let metadata: [JSONValue]
  let tensors: [JSONValue]

  var description: String { file }

  static let folder = Paths.join(golden, "gguf-codec/files")
  static let all: [GGUFDescription] = {
    let list = (try? JSONValue(file: Paths.join(folder, "files.json"), limit: 8 << 20))?["files"]?.arrayValue ?? []
    return list.compactMap { entry in
      guard let file = entry["file"]?.stringValue, let version = entry["version"]?.intValue,
        let alignment = entry["alignment"]?.intValue, case .bool(let isBig)? = entry["big"],
        let metadata = entry["metadata"]?.arrayValue, let tensors = entry["tensors"]?.arrayValue
      else { return nil }
      return GGUFDescription(
        file: file, path: Paths.join(folder, file), version: version, isBig: isBig, alignment: alignment,
        metadata: metadata, tensors: tensors)
    }
  }()
}

/// FNV-1a, 64 bits.
func checksum(_ bytes: some Sequence<UInt8>) -> String {
  "\(bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })"
}

/// A value as `files.json` spells it.
func spelled(_ value: GGUFValue) -> JSONValue {
  func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
  switch value {
  case .float32(let number): return .string("\(number.bitPattern)")
  case .float64(let number): return .string("\(number.bitPattern)")
  case .bool(let truth): return .string(truth ? "1" : "0")
  case .string(let text): return .string(hex(text.bytes))
  case .uint64(let number): return .string("\(number)")
  case .array(let array):
    return .object([
      "of": .string(array.elementType.name), "values": .array((0..<array.count).map { spelled(array[$0]) }),
    ])
  default: return .string("\(value.integer ?? 0)")
  }
}

extension GGUFFile {
  /// The tensors, to be written again.
  var copies: [GGUFWriter.Tensor] {
    tensors.map {
      GGUFWriter.Tensor(name: $0.name, type: $0.type, extents: $0.extents, weight: weight($0))
    }
  }
}

extension GGUFWriter {
  /// Writes the files into a new folder and gives its path.
  @discardableResult
  func write(into folder: TemporaryFolder, _ name: String = "out") throws -> String {
    let directory = try AtomicDirectory(path: folder(name), replacing: true)
    try write(to: directory, threads: ThreadPool(threadCount: 2))
    try directory.commit()
    return folder(name)
  }
}

/// A little tensor of ascending F32.
func ascending(_ name: String, _ shape: Shape) -> GGUFWriter.Tensor {
  let values = (0..<shape.elementCount).map { Float($0) }
  guard let type = GGUFTensorType(.f32) else { preconditionFailure("GGUF has F32") }
  return GGUFWriter.Tensor(name: name, type: type, shape: shape, weight: .floats(values, shape: shape))
}

/// A tensor of packed blocks with bytes that tell them apart.
func blocks(_ name: String, _ format: BlockFormat, _ shape: Shape) -> GGUFWriter.Tensor {
  let type = GGUFTensorType(format)
  let stored = type.storedShape(shape)
  let bytes = (0..<stored.elementCount).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ $0 >> 7) }
  return GGUFWriter.Tensor(
    name: name, type: type, shape: shape, weight: .literal(bytes: bytes, type: .u8, shape: stored))
}
