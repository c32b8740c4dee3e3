import Pollard
import PollardBase
import Testing

private let fixtures =
  ((try? Directories.names(in: golden + "/onnx")) ?? []).filter {
    Directories.kind(of: golden + "/onnx/\($0)/masked.onnx") == .file
  }.sorted()

@Suite("ONNX files are compacted like any other model")
struct ONNXModelTests {
  @Test("as many parameters go as the mask implies, and the result is the same function", arguments: fixtures)
  func counts(_ name: String) throws {
    let manifest = try JSONValue(file: golden + "/onnx/\(name)/manifest.json")
    let expected = try #require(manifest["expected"]?["parameters"]?["removed"]?.intValue)
    let folder = try TemporaryFolder()
    let model = try Model(at: golden + "/onnx/\(name)/masked.onnx")
    let report = try model.compact(model.plan(pool: pool), to: folder("small.onnx"), pool: pool)
    #expect(report.parameters.before - report.parameters.after == expected)
    #if !DEBUG
      let verdict = try verify(original: model.path, compacted: folder("small.onnx"), pool: pool)
      #expect(verdict.equal && verdict.bitIdentical == true, "\(verdict.text)")
    #endif
  }

  @Test("a changed byte of a weight is found, and said to be one of the proof")
  func tampered() throws {
    let folder = try TemporaryFolder()
    let original = golden + "/onnx/bert-ts17-eager/masked.onnx"
    let model = try Model(at: original)
    try model.compact(model.plan(pool: pool), to: folder("small.onnx"), pool: pool)
    var bytes = try FileSource(path: folder("small.onnx")).bytes(0..<FileSource(path: folder("small.onnx")).size)
    // The last tensors of the file are matrices; the receipt comes after them.
    bytes[bytes.count / 2] ^= 1
    try Files.write(folder("other.onnx"), bytes)
    let verdict = try? verify(original: original, compacted: folder("other.onnx"), pool: pool)
    #expect(verdict?.equal != true)
  }

  @Test("positions of a tensor are a mask, also on a dense model")
  func tensorMask() throws {
    let folder = try TemporaryFolder()
    let path = golden + "/onnx/bert-ts17-eager/dense.onnx"
    let model = try Model(at: path)
    let lines = model.summary.tensors.filter { $0.shape == [37, 32] }
    let tensor = try #require(lines.first)
    try folder.write(
      "mask.json", #"{"remove": {"tensors": [{"name": "\#(tensor.name)", "axis": 0, "indices": [5, 7]}]}}"#)
    let plan = try model.plan(masks: .file(folder("mask.json")), pool: pool)
    #expect(plan.counts.declared == 2)
  }

  @Test("a checkpoint becomes an ONNX file that is equal within the tolerance, and a folder keeps what lies beside")
  func converted() throws {
    let folder = try TemporaryFolder()
    let source = golden + "/bert-plain/masked"
    let model = try Model(at: source)
    try model.convert(to: folder("whole.onnx"), type: nil, options: WriteOptions(format: .onnx), pool: pool)
    let verdict = try verify(original: source, compacted: folder("whole.onnx"), pool: pool)
    #expect(verdict.equal)
    #expect(verdict.report.proof == nil)
    try model.convert(to: folder("folder"), type: nil, options: WriteOptions(format: .onnx), pool: pool)
    #expect(try Directories.names(in: folder("folder")).sorted() == ["config.json", "model.onnx"])
  }

  @Test(
    "a compaction to ONNX is held to the original's counts and outputs", arguments: ["bert-plain", "llama-grouped"])
  func compactedTo(_ name: String) throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: golden + "/\(name)/masked")
    let plan = try model.plan(options: PlanOptions(format: .onnx), pool: pool)
    try model.compact(plan, to: folder("small.onnx"), options: WriteOptions(format: .onnx), pool: pool)
    #expect(try verify(original: model.path, compacted: folder("small.onnx"), pool: pool).equal)
    #expect(try !verify(original: golden + "/bert-masked-lm/masked", compacted: folder("small.onnx"), pool: pool).equal)
  }

  @Test("an ONNX file does not become a checkpoint")
  func noCheckpoint() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: golden + "/onnx/bert-ts17-eager/masked.onnx")
    #expect(throws: (any Error).self) {
      try model.convert(to: folder("out"), type: nil, options: WriteOptions(format: .safetensors), pool: pool)
    }
    #expect(try folder.names.isEmpty)
  }
}
