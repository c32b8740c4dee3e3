import Pollard
import PollardBase
import Testing

@Suite("A conversion to another element type is proved where every weight is the rounded original's")
struct ConversionVerificationTests {
  @Test(
    "rounded as it should be: proved", arguments: ["bert-plain", "gpt2-lm", "llama-tied"], [WeightType.f16, .bf16])
  func proved(_ name: String, type: WeightType) throws {
    let folder = try TemporaryFolder()
    let path = golden + "/\(name)/dense"
    try Model(at: path).convert(to: folder("half"), type: type, pool: pool)
    let verdict = try verify(original: path, compacted: folder("half"), pool: pool)
    #expect(verdict.equal && verdict.report.proof?.ok == true, "\(verdict.text)")
  }

  @Test("one weight changed among many that are rounded as they should be: not equal, however small the change")
  func otherwise() throws {
    let folder = try TemporaryFolder()
    let path = golden + "/bert-plain/dense"
    try Model(at: path).convert(to: folder("half"), type: .f16, pool: pool)
    let name = "encoder.layer.0.intermediate.dense.weight"
    try Tensors.flipBit(ofByte: 10, of: name, in: folder("half"))
    let near = try verify(original: path, compacted: folder("half"), pool: pool)
    #expect(!near.equal && near.report.proof == nil)
    // The exponent's highest bit.
    try Tensors.flipBit(6, ofByte: 11, of: name, in: folder("half"))
    #expect(try !verify(original: path, compacted: folder("half"), pool: pool).equal)
  }
}
