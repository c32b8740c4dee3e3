import ModelVerification
import TensorStorage
import Testing

@Suite("Packed tensors are proved byte for byte")
struct PackedProofTests {
  /// Rows of two blocks of Q8_0.
  private func rows(_ count: Int, changing place: Int? = nil) -> Weight {
    var bytes = (0..<count * 68).map { UInt8($0 % 251) }
    if let place { bytes[place] ^= 1 }
    return .literal(bytes: bytes, type: .u8, shape: [count, 2, 34])
  }

  @Test("Cut rows and blocks that went through the graph are the bytes they were")
  func kept() throws {
    let matrix = rows(4).dequantized(from: .q8_0).transposed([1, 0])
    let cut = matrix.keeping([0, 2, 3], axis: 1).keeping(Array(32..<64), axis: 0)
    let expected = cut.transposed([1, 0]).quantized(to: .q8_0)
    #expect(!expected.requantizes)
    let found = rows(4).keeping([0, 2, 3], axis: 0).keeping([1], axis: 1)
    let proof = try TensorProof(expected: [("down", expected)], found: [("down", found)], pool: pool)
    #expect(proof.keptTensors == 1 && proof.problems.isEmpty)
  }

  @Test("The first other byte is named by row, block and byte")
  func changed() throws {
    let proof = try TensorProof(
      expected: [("down", rows(4))], found: [("down", rows(4, changing: 2 * 68 + 34 + 5))], pool: pool)
    #expect(proof.problems == ["tensor \"down\": bytes differ from element [2, 1, 5] on"])
  }

  @Test("The loosest of types and formats decides; what has no row has no tolerance")
  func tolerances() {
    #expect(FormatTolerance.row(for: [.f32])?.share == 1e-5)
    #expect(FormatTolerance.row(for: [.f32], formats: [.q8_0])?.share == 0.08)
    #expect(FormatTolerance.row(for: [.f32, .bf16], formats: [.q4_k, .q6_k])?.format == .q4_k)
    #expect(FormatTolerance.row(for: [], formats: [.q8_0])?.format == .q8_0)
    #expect(FormatTolerance.row(for: [.f32], formats: [.q8_0, .q2_k]) == nil)
    #expect(FormatTolerance.row(for: [.f32])?.format == nil)
    #expect(FormatTolerance.row(for: [.bf16])?.share == 4e-2)
  }

  @Test("What is proved may be moved further by rounding, and never by as much as outputs are large")
  func proved() {
    for row in FormatTolerance.table {
      let proved = FormatTolerance.proved(row)
      #expect(proved.share >= row.share && proved.share <= 1 && proved.reason != row.reason)
    }
    // A T5 with a gate in Q8_0 moves by a quarter of the largest.
    #expect(FormatTolerance.row(for: [], formats: [.q8_0]).map { FormatTolerance.proved($0).share >= 0.25 } == true)
  }
}
