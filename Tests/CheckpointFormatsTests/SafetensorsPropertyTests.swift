import CheckpointFormats
import PollardBase
import TensorStorage
import Testing

/// A small reproducible generator (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

@Suite("Safetensors headers under random input")
struct SafetensorsPropertyTests {
  @Test("Random headers are read as they were written, in both orders")
  func randomRoundTrips() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed of random round trips: \(seed)")
    var random = SeededGenerator(seed: seed)
    for _ in 0..<300 {
      let declarations = Self.declarations(using: &random)
      let metadata = Self.metadata(using: &random)
      for order in [SafetensorsLayout.Order.reference, .given] {
        let layout = try SafetensorsLayout(declarations, metadata: metadata, order: order)
        let data = [UInt8](repeating: 0, count: layout.dataSize)
        let header = try readHeader(layout.header + data)
        // Tensors without bytes may trade places with their neighbours, which changes no byte.
        #expect(Set(header.tensors) == Set(layout.tensors), "seed \(seed)")
        #expect(header.metadata == (order == .reference ? metadata?.sorted : metadata), "seed \(seed)")
        for (tensor, position) in zip(layout.tensors, layout.givenPositions) {
          #expect(tensor.declaration == declarations[position], "seed \(seed)")
        }
      }
    }
  }

  @Test("No mutation of a valid file traps")
  func mutations() throws {
    let seed = UInt64.random(in: .min ... .max)
    print("seed of mutations: \(seed)")
    var random = SeededGenerator(seed: seed)
    let original = safetensors(
      """
      {"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},\
      "b\\u00e9é":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"F4","shape":[2],"data_offsets":[32,33]}}
      """, dataSize: 33)
    #expect(original.withUnsafeBytes { fuzzSafetensors($0) })
    let tokens = [
      "0", "9", "18446744073709551615", "9223372036854775808", "-1", "{", "}", "[", "]", ",", ":", "\"", "null", "U8",
      "\\u0000", "1e9",
    ]
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes[position] = UInt8.random(in: .min ... .max, using: &random)
        case 1: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 2: bytes.remove(at: position)
        case 3: bytes.insert(contentsOf: Array(tokens.randomElement(using: &random)?.utf8 ?? "".utf8), at: position)
        default: bytes.removeSubrange(position..<min(bytes.count, position + 4))
        }
        if bytes.count > 8, Bool.random(using: &random) {
          let length = max(0, bytes.count - 8 - 33)
          bytes.replaceSubrange(0..<8, with: (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) })
        }
        if bytes.isEmpty { break }
      }
      if bytes.withUnsafeBytes({ fuzzSafetensors($0) }) { accepted += 1 }
    }
    // Changes in data bytes and names leave the file valid, so some must pass.
    #expect(accepted > 0 && accepted < 20_000, "seed \(seed)")
  }

  private static func declarations(using random: inout SeededGenerator) -> [TensorDeclaration] {
    let alphabet = ["a", "Z", "0", ".", "é", "e\u{301}", "😀", "\"", "\\", "\n", "\u{0}", "/", "\u{7F}", "\u{2028}"]
    var names: Set<[UInt8]> = []
    return (0..<Int.random(in: 0...12, using: &random)).compactMap { _ in
      let name = (0..<Int.random(in: 0...6, using: &random)).compactMap { _ in alphabet.randomElement(using: &random) }
        .joined()
      guard names.insert(Array(name.utf8)).inserted, let type = ElementType.safetensorsTypes.randomElement(using: &random)
      else { return nil }
      var extents = (0..<Int.random(in: 0...4, using: &random)).map { _ in Int.random(in: 0...5, using: &random) }
      if type.byteCount == nil { extents.append(4) }
      return TensorDeclaration(name: name, type: type, shape: Shape(extents))
    }
  }

  private static func metadata(using random: inout SeededGenerator) -> SafetensorsMetadata? {
    guard Bool.random(using: &random) else { return nil }
    var metadata = SafetensorsMetadata()
    for _ in 0..<Int.random(in: 0...4, using: &random) {
      metadata["k\(Int.random(in: 0...9, using: &random))é\""] = "v\n\(random.next())"
    }
    return metadata
  }
}
