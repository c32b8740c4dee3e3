import CheckpointFormats
import PollardBase

/// The folder of checkpoints and files that other tools made.
let golden = Paths.join(Paths.parent(Paths.parent(Paths.parent(#filePath))), "golden")

/// The bytes of a safetensors file with a header and zeros as data.
func safetensors(_ header: String, dataSize: Int = 0, length: UInt64? = nil) -> [UInt8] {
  safetensors(Array(header.utf8), dataSize: dataSize, length: length)
}

func safetensors(_ header: [UInt8], dataSize: Int = 0, length: UInt64? = nil) -> [UInt8] {
  let length = length ?? UInt64(header.count)
  return (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + header + [UInt8](repeating: 0, count: dataSize)
}

/// The header of a file that is in memory.
func readHeader(_ bytes: [UInt8]) throws(FormatError) -> SafetensorsHeader {
  try SafetensorsHeader(fileSize: bytes.count) { range throws(FormatError) in Array(bytes[range]) }
}

extension AtomicFile {
  static func write(_ bytes: [UInt8], to path: String) throws {
    let file = try AtomicFile(path: path, replacing: true)
    try file.file.write(bytes)
    try file.commit()
  }
}

func allBytes(_ path: String) throws -> [UInt8] {
  let source = try FileSource(path: path)
  return try source.bytes(0..<source.size)
}
