import Foundation
import PollardBase
import Synchronization
import TensorStorage

/// A pseudo-random generator with a printable state (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Opens the given bytes as a file; the name is gone once it is open.
func temporaryFile(_ bytes: [UInt8]) throws -> FileSource {
  let path = NSTemporaryDirectory() + "/pollard-storage-\(UUID().uuidString)"
  try Data(bytes).write(to: URL(fileURLWithPath: path))
  defer { try? FileManager.default.removeItem(atPath: path) }
  return try FileSource(path: path)
}

/// Collects what is written, in memory.
final class MemoryOutput: PositionalOutput {
  private let storage: Mutex<[UInt8]>
  /// Writes that touch this offset fail.
  private let failingOffset: Int?

  init(count: Int, failingOffset: Int? = nil) {
    storage = Mutex(Array(repeating: 0xEE, count: count))
    self.failingOffset = failingOffset
  }

  var bytes: [UInt8] { storage.withLock { $0 } }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FormatError) {
    if let failingOffset, (offset..<offset + bytes.count).contains(failingOffset) {
      throw FormatError(.diskFull, file: "memory", at: .byte(offset))
    }
    storage.withLock { storage in
      for (index, byte) in bytes.enumerated() { storage[offset + index] = byte }
    }
  }
}

func littleEndian<Value: FixedWidthInteger>(_ values: [Value]) -> [UInt8] {
  values.flatMap { withUnsafeBytes(of: $0.littleEndian) { Array($0) } }
}
