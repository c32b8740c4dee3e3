import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

@Suite("GGUF files under random input")
struct GGUFPropertyTests {
  @Test("Random files are read as they were written, in every version and order")
  func randomRoundTrips() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed of random GGUF files: \(seed)")
    var random = SeededGenerator(seed: seed)
    let folder = try TemporaryFolder()
    for round in 0..<60 {
      let metadata = Self.metadata(using: &random)
      let tensors = Self.tensors(using: &random)
      for (version, order) in [(1, GGUFByteOrder.little), (2, .little), (3, .little), (3, .big)] {
        var options = GGUFWriter.Options()
        options.version = version
        options.byteOrder = order
        options.isEndPadded = Bool.random(using: &random)
        let swappable = tensors.filter { order == .little || $0.type.blockFormat.map(Self.swappable.contains) ?? true }
        let writer = try GGUFWriter(metadata: metadata, tensors: swappable, fileName: "m.gguf", options: options)
        let output = try writer.write(into: folder, "out\(round % 2)")
        let file = try GGUFFile(path: Paths.join(output, "m.gguf"))
        #expect(file.metadata == metadata, "seed \(seed)")
        #expect(file.version == version && file.byteOrder == order, "seed \(seed)")
        #expect(file.source.size == writer.totalSize, "seed \(seed)")
        #expect(file.tensors.map(\.name) == swappable.map(\.name), "seed \(seed)")
        for (tensor, source) in zip(file.tensors, swappable) {
          #expect(tensor.type == source.type && tensor.extents == source.extents, "seed \(seed)")
          #expect(try file.weight(tensor).bytes() == source.weight.bytes(), "seed \(seed): \(tensor.name)")
        }
        #expect(try allBytes(file.source.path).withUnsafeBytes { fuzzGGUF($0) }, "seed \(seed)")
      }
    }
  }

  @Test("No mutation of a valid file traps")
  func mutations() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed of GGUF mutations: \(seed)")
    var random = SeededGenerator(seed: seed)
    let originals = try ["hand-1", "hand-2", "hand-3", "hand-3-big", "gguf-py-aligned-64", "split-size-00001-of-00003"]
      .map { try allBytes(Paths.join(GGUFDescription.folder, $0 + ".gguf")) }
    for original in originals { #expect(original.withUnsafeBytes { fuzzGGUF($0) }) }
    let numbers: [UInt64] = [
      0, 1, 9, 31, 1 << 30, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max, .max - 31, UInt64(Int64.max),
    ]
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = originals.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
        // Nearly everything that can go wrong is in the first half; the rest is data.
        let position = Int.random(
          in: 0..<(Bool.random(using: &random) ? min(64, bytes.count) : bytes.count), using: &random)
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[position] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.remove(at: position)
        case 3: bytes.removeSubrange(position...)
        case 4: bytes.removeSubrange(position..<min(bytes.count, position + 8))
        default:
          let number = numbers.randomElement(using: &random) ?? 0
          for index in 0..<8 where position + index < bytes.count {
            bytes[position + index] = UInt8(truncatingIfNeeded: number >> (index * 8))
          }
        }
      }
      if bytes.withUnsafeBytes({ fuzzGGUF($0) }) { accepted += 1 }
    }
    // Changes in data bytes and in values leave the file valid, so some must pass.
    #expect(accepted > 0 && accepted < 20_000, "seed \(seed)")
  }

  @Test("A header longer than the reading window comes whole, whatever lies on its edge")
  func largeHeader() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed of large GGUF headers: \(seed)")
    var random = SeededGenerator(seed: seed)
    let texts = (0..<150_000).map { index in
      ByteString([UInt8](repeating: UInt8(truncatingIfNeeded: index), count: Int.random(in: 0...24, using: &random)))
    }
    let long = ByteString([UInt8](repeating: 0x61, count: 3 << 20))
    let array = GGUFArray(texts + [long, "", long] + texts)
    let metadata: GGUFMetadata = [
      "before": .string("x"), "tokens": .array(array),
      "scores": .array(GGUFArray([Float](repeating: 1.5, count: 400_000))),
      "long": .string(long), "after": .uint64(7),
    ]
    for (version, order) in [(1, GGUFByteOrder.little), (3, .little), (3, .big)] {
      var options = GGUFWriter.Options()
      (options.version, options.byteOrder) = (version, order)
      let writer = try GGUFWriter(
        metadata: metadata, tensors: [ascending("t", [5])], fileName: "m.gguf", options: options)
      let folder = try TemporaryFolder()
      let file = try GGUFFile(path: Paths.join(writer.write(into: folder), "m.gguf"))
      #expect(file.metadata == metadata, "seed \(seed)")
      let read = try file.metadata.array("tokens")
      #expect(read.count == 300_003 && read.byteString(at: 150_000) == long && read.byteString(at: 150_002) == long)
      for index in [0, 31, 32, 99_999, 149_999, 150_003, 300_002] {
        #expect(read.byteString(at: index) == texts[index % 150_003], "seed \(seed)")
      }
    }
  }

  private static let swappable: Set<BlockFormat> = [.q4_0, .q8_0, .q1_0, .q4_k, .q6_k, .tq2_0, .mxfp4, .nvfp4]

  private static func metadata(using random: inout SeededGenerator) -> GGUFMetadata {
    var metadata = GGUFMetadata()
    for _ in 0..<Int.random(in: 0...8, using: &random) {
      metadata.append("key.\(Int.random(in: 0...99, using: &random))é", value(using: &random, isElement: false))
    }
    return metadata
  }

  private static func value(using random: inout SeededGenerator, isElement: Bool) -> GGUFValue {
    let bits = random.next()
    switch Int.random(in: 0..<(isElement ? 12 : 13), using: &random) {
    case 0: return .uint8(UInt8(truncatingIfNeeded: bits))
    case 1: return .int8(Int8(truncatingIfNeeded: bits))
    case 2: return .uint16(UInt16(truncatingIfNeeded: bits))
    case 3: return .int16(Int16(truncatingIfNeeded: bits))
    case 4: return .uint32(UInt32(truncatingIfNeeded: bits))
    case 5: return .int32(Int32(truncatingIfNeeded: bits))
    case 6: return .uint64(bits)
    case 7: return .int64(Int64(bitPattern: bits))
    case 8: return .float32(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
    case 9: return .float64(Double(bitPattern: bits))
    case 10: return .bool(bits & 1 == 1)
    case 11: return .string(text(using: &random))
    default: return .array(array(using: &random))
    }
  }

  private static func text(using random: inout SeededGenerator) -> ByteString {
    ByteString((0..<Int.random(in: 0...9, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random) })
  }

  private static func array(using random: inout SeededGenerator) -> GGUFArray {
    let count = Int.random(in: 0...80, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: return GGUFArray((0..<count).map { _ in text(using: &random) })
    case 1: return GGUFArray((0..<count).map { _ in Float(bitPattern: UInt32.random(in: 0 ... .max, using: &random)) })
    case 2: return GGUFArray((0..<count).map { _ in Bool.random(using: &random) })
    case 3: return GGUFArray((0..<count).map { _ in Int16.random(in: .min ... .max, using: &random) })
    case 4: return GGUFArray((0..<count).map { _ in random.next() })
    default: return GGUFArray((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }
  }

  private static func tensors(using random: inout SeededGenerator) -> [GGUFWriter.Tensor] {
    (0..<Int.random(in: 0...5, using: &random)).map { index in
      let type = GGUFTensorType.all[Int.random(in: 0..<GGUFTensorType.all.count, using: &random)]
      var extents = (0..<Int.random(in: 0...4, using: &random)).map { _ in Int.random(in: 0...3, using: &random) }
      if type.elementsPerBlock > 1 {
        if extents.isEmpty { extents = [1] }
        extents[0] *= type.elementsPerBlock
      }
      let stored = type.storedShape(Shape(extents.reversed()))
      let element = type.elementType ?? .u8
      let count = stored.byteCount(of: element) ?? 0
      let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      return GGUFWriter.Tensor(
        name: "t\(index)", type: type, extents: extents, weight: .literal(bytes: bytes, type: element, shape: stored))
    }
  }
}
