import Pollard
import PollardBase
import Testing

private let tiny = golden + "/gguf/tiny"
private func file(_ type: String) -> String { golden + "/gguf/tiny-\(type).gguf" }

@Suite("GGUF files are read, written, compacted and verified like any other model")
struct GGUFModelTests {
  @Test("a checkpoint becomes the file that llama.cpp's converter writes, byte for byte", arguments: ["f16", "q8_0"])
  func converted(_ type: String) throws {
    let folder = try TemporaryFolder()
    try Model(at: tiny).convert(
      to: folder("out.gguf"), type: WeightType(name: type), options: WriteOptions(format: .gguf), pool: pool)
    #expect(try Files.bytes(folder("out.gguf")) == Files.bytes(file(type)))
  }

  @Test("a file is the checkpoint it was converted from, proved", arguments: ["f16", "q8_0", "q4_0"])
  func proved(_ type: String) throws {
    let verdict = try verify(original: tiny, compacted: file(type), pool: pool)
    #expect(verdict.equal && verdict.report.proof?.ok == true, "\(verdict.text)")
  }

  @Test("from a file to a checkpoint and back nothing is lost", arguments: ["f16", "q8_0", "q4_0"])
  func roundTrip(_ type: String) throws {
    let folder = try TemporaryFolder()
    let path = file(type)
    try Model(at: path).convert(
      to: folder("checkpoint"), type: nil, options: WriteOptions(format: .safetensors), pool: pool)
    let there = try verify(original: path, compacted: folder("checkpoint"), pool: pool)
    #expect(there.equal, "\(there.text)")
    try Model(at: folder("checkpoint")).convert(
      to: folder("back.gguf"), type: WeightType(name: type), options: WriteOptions(format: .gguf), pool: pool)
    let difference = try diff(path, folder("back.gguf"))
    #expect(difference.layers.isEmpty && difference.changed.isEmpty, "\(difference.text)")
    let back = try verify(original: path, compacted: folder("back.gguf"), pool: pool)
    #expect(back.equal && back.bitIdentical == true, "\(back.text)")
  }

  @Test("a layer dropped, a file stays a file with its other metadata")
  func dropped() throws {
    let folder = try TemporaryFolder()
    let rest = try Model(at: file("f16")).dropping(layers: [0])
    try rest.compact(rest.plan(pool: pool), to: folder("small.gguf"), pool: pool)
    let verdict = try verify(original: rest, compacted: Model(at: folder("small.gguf")), pool: pool)
    #expect(verdict.equal && verdict.bitIdentical == true, "\(verdict.text)")
    #expect(try !verify(original: file("f16"), compacted: folder("small.gguf"), pool: pool).equal)
  }

  @Test("a flipped bit of a packed weight is found")
  func tampered() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: file("q8_0"))
    try model.compact(model.plan(pool: pool), to: folder("copy.gguf"), pool: pool)
    #expect(try verify(original: model, compacted: Model(at: folder("copy.gguf")), pool: pool).equal)
    var bytes = try Files.bytes(folder("copy.gguf"))
    bytes[bytes.count - 4096] ^= 0x40
    try Files.write(folder("copy.gguf"), bytes)
    #expect(try !verify(original: model, compacted: Model(at: folder("copy.gguf")), pool: pool).equal)
  }

  @Test("split by size, the parts are one model again")
  func split() throws {
    let folder = try TemporaryFolder()
    var options = WriteOptions(format: .gguf)
    options.maxShardSize = ShardSize("16KB")
    try Model(at: file("f16")).convert(to: folder("parts"), type: nil, options: options, pool: pool)
    let names = try Directories.names(in: folder("parts"))
    #expect(names.count > 1)
    let first = try #require(names.sorted().first)
    #expect(try verify(original: file("f16"), compacted: folder("parts/\(first)"), pool: pool).equal)
  }

  @Test("a file that is no GGUF is refused by name", arguments: ["", "GGUF", "not a model at all"])
  func refused(_ text: String) throws {
    let folder = try TemporaryFolder()
    try folder.write("bad.gguf", text)
    #expect(throws: FormatError.self) { try Model(at: folder("bad.gguf")) }
  }
}
