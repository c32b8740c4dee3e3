import Foundation
import PollardBase
import Testing

import TensorStorage

@Suite("Packed blocks")
struct BlockCodecTests {
  struct PackedGoldens: Decodable {
    let numbers: [String: [UInt32]]
    let packed: [String: [String: String]]
  }

  struct UnpackedGolden: Decodable {
    let blocks: String
    let first: [UInt32]
    let fnv1a: String
  }

  static func golden<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let data = try Data(contentsOf: root.appendingPathComponent("golden/gguf-blocks/\(name)"))
    return try JSONDecoder().decode(type, from: data)
  }

  static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8)
    return stride(from: 0, to: digits.count, by: 2).map { index in
      UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) ?? 0
    }
  }

  static func unpack(_ format: BlockFormat, _ blocks: [UInt8]) throws -> [Float] {
    let count = blocks.count / format.bytesPerBlock
    return try Weight.literal(bytes: blocks, type: .u8, shape: [count, format.bytesPerBlock])
      .dequantized(from: format).floats()
  }

  static func pack(_ format: BlockFormat, _ numbers: [Float]) throws -> [UInt8] {
    try Weight.floats(numbers, shape: [numbers.count]).quantized(to: format).bytes()
  }

  @Test("blocks packed from given numbers are the bytes that ggml writes", arguments: BlockFormat.allCases)
  func packing(format: BlockFormat) throws {
    let goldens = try Self.golden("packed.json", as: PackedGoldens.self)
    guard format.isWritable else {
      #expect(goldens.packed[format.name] == nil)
      return
    }
    let expected = try #require(goldens.packed[format.name])
    for (label, bits) in goldens.numbers {
      let packed = try Self.pack(format, bits.map(Float.init(bitPattern:)))
      #expect(packed == Self.bytes(expected[label] ?? ""), "\(label)")
    }
  }

  @Test("blocks unpack to the bits that ggml gives", arguments: BlockFormat.allCases)
  func unpacking(format: BlockFormat) throws {
    guard let golden = try Self.golden("unpacked.json", as: [String: UnpackedGolden].self)[format.name] else {
      #expect(format == .q8_1, "ggml unpacks every other format")
      return
    }
    let numbers = try Self.unpack(format, Self.bytes(golden.blocks))
    #expect(numbers.prefix(8).map(\.bitPattern) == golden.first)
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for number in numbers {
      withUnsafeBytes(of: number.bitPattern.littleEndian) {
        for byte in $0 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      }
    }
    let text = String(hash, radix: 16)
    #expect(String(repeating: "0", count: 16 - text.count) + text == golden.fnv1a)
  }

  @Test("a Q8_1 block is its codes times its scale")
  func activations() throws {
    let block: [UInt8] = [0x00, 0x30, 0, 0] + (0..<32).map { UInt8(bitPattern: Int8($0 - 16)) }
    #expect(try Self.unpack(.q8_1, block) == (0..<32).map { Float($0 - 16) * 0.125 })
  }

  /// The block whose byte i is 73 i + 41, with scale 1/8, minimum -1/2 (1/16 in blocks of 256) and, in MXFP4, exponent 126.
  ///
  /// Sums made with gguf-py: of the numbers, and of the numbers times 1, 2, …, 7, 1, 2, ….
  @Test(
    "sums of a patterned block are those of gguf-py",
    arguments: [
      (BlockFormat.q4_0, [0, 0x3000], -4.125, -13.25), (.q4_1, [0, 0x3000, 2, 0xb800], 12.125, 37.125),
      (.q5_0, [0, 0x3000], -5.625, -37), (.q5_1, [0, 0x3000, 2, 0xb800], 46.625, 186.375),
      (.q8_0, [0, 0x3000], -6, 248.25), (.q2_k, [80, 0x3000, 82, 0x2c00], 255.375, 1030.9375),
      (.q3_k, [108, 0x3000], 29.25, 66.25), (.q4_k, [0, 0x3000, 2, 0x2c00], 6669, 26000.0625),
      (.q5_k, [0, 0x3000, 2, 0x2c00], 13759, 54896.0625), (.q6_k, [208, 0x3000], -1855.5, -22887.125),
      (.iq4_nl, [0, 0x3000], -60.125, -199.625), (.iq4_xs, [0, 0x3000], -806.25, -1860.125),
      (.tq1_0, [52, 0x3000], -1.875, -17.25), (.tq2_0, [64, 0x3000], 15.625, 59.75), (.mxfp4, [], 6.25, 27),
    ])
  func patterned(format: BlockFormat, halves: [Int], sum: Double, weighted: Double) throws {
    var block = (0..<format.bytesPerBlock).map { UInt8(truncatingIfNeeded: 73 * $0 + 41) }
    for index in stride(from: 0, to: halves.count, by: 2) {
      block[halves[index]] = UInt8(halves[index + 1] & 0xff)
      block[halves[index] + 1] = UInt8(halves[index + 1] >> 8)
    }
    if format == .mxfp4 { block[0] = 126 }
    let numbers = try Self.unpack(format, block).map(Double.init)
    #expect(numbers.reduce(0, +) == sum)
    #expect(numbers.enumerated().reduce(0) { $0 + $1.element * Double($1.offset % 7 + 1) } == weighted)
  }

  @Test("zeros pack as ggml packs them: Q4_0 and Q5_0 with a scale of -0")
  func zeros() throws {
    for format in BlockFormat.allCases where format.isWritable {
      let size = format.bytesPerBlock
      let packed = try Weight.zeros(type: .f32, shape: [256]).quantized(to: format).bytes()
      let block = Array(packed.prefix(size))
      switch format {
      case .q4_0: #expect(block == [0x00, 0x80] + Array(repeating: 0x88, count: 16))
      case .q5_0: #expect(block == [0x00, 0x80, 0xff, 0xff, 0xff, 0xff] + Array(repeating: 0, count: 16))
      case .iq4_nl: #expect(block == [0, 0] + Array(repeating: 0x88, count: 16))
      case .tq1_0: #expect(block == Array(repeating: 0x80, count: 48) + [0x7f, 0x7f, 0x7f, 0x7f, 0, 0])
      case .tq2_0: #expect(block == Array(repeating: 0x55, count: 64) + [0, 0])
      default: #expect(block == Array(repeating: 0, count: size), "\(format)")
      }
    }
  }

  @Test("any bytes unpack without leaving a table", arguments: BlockFormat.allCases)
  func anyBytes(format: BlockFormat) throws {
    for fill in [UInt8(0), 0x7f, 0x80, 0xff] {
      let blocks = [UInt8](repeating: fill, count: format.bytesPerBlock * 3)
      #expect(try Self.unpack(format, blocks).count == format.elementsPerBlock * 3)
    }
  }

  @Test("numbers that are not finite are refused with their row", arguments: BlockFormat.allCases.filter(\.isWritable))
  func notFinite(format: BlockFormat) throws {
    for value in [Float.nan, .infinity, -.infinity] {
      var numbers = [Float](repeating: 0.5, count: 3 * 512)
      numbers[2 * 512 + 300] = value
      let packed = Weight.floats(numbers, shape: [3, 512]).quantized(to: format)
      let error = #expect(throws: FormatError.self) { _ = try packed.bytes() }
      #expect(error?.code == .notFinite)
      #expect(error?.found?.hasSuffix("in row 2") == true, "\(error?.found ?? "")")
    }
  }

  @Test("the writer names the tensor that cannot be packed")
  func namedTensor() throws {
    let good = Weight.floats(Array(repeating: 1, count: 256), shape: [256]).quantized(to: .q4_k)
    let bad = Weight.floats(Array(repeating: .nan, count: 256), shape: [256]).quantized(to: .q4_k)
    let output = MemoryOutput(count: 288)
    let error = #expect(throws: FormatError.self) {
      try StreamingWriter.write(
        [(good, 0), (bad, 144)], names: ["good", "bad"], to: output, threads: ThreadPool(threadCount: 1))
    }
    #expect(error?.subject == .tensor("bad"))
  }

  @Test("the error of packing is the distance to what unpacks, on any number of threads")
  func requantizationError() throws {
    var random = SeededGenerator(seed: 5)
    let numbers = (0..<300 * 512).map { _ in Float.random(in: -1...1, using: &random) }
    let weight = Weight.floats(numbers, shape: [300, 512])
    let unpacked = try Self.unpack(.q4_k, try Self.pack(.q4_k, numbers))
    var most = 0.0
    var squares = 0.0
    for (a, b) in zip(numbers, unpacked) {
      most = max(most, abs(Double(a) - Double(b)))
      squares += (Double(a) - Double(b)) * (Double(a) - Double(b))
    }
    let one = try weight.requantizationError(as: .q4_k, threads: ThreadPool(threadCount: 1))
    #expect(one.maximumAbsolute == most)
    #expect(abs(one.squaredError - squares) < squares * 1e-10)
    #expect(one.elementCount == numbers.count)
    #expect(one == (try weight.requantizationError(as: .q4_k, threads: ThreadPool(threadCount: 3))))
    #expect((0.02..<0.2).contains(one.relativeRootMeanSquare))
    let stored = weight.quantized(to: .q8_0).dequantized(from: .q8_0)
    #expect(try stored.requantizationError(as: .q8_0, threads: ThreadPool(threadCount: 1)).maximumAbsolute == 0)
  }
}
