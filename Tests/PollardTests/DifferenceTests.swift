import Pollard
import PollardBase
import Testing

@Suite("Two models side by side")
struct DifferenceTests {
  @Test("a model and its masked copy differ in nothing that headers tell")
  func alike() throws {
    #expect(try diff(golden + "/bert-plain/dense", golden + "/bert-plain/masked").isEmpty)
  }

  @Test("a conversion to ONNX has the same tensors by the part they play")
  func formats() throws {
    let folder = try TemporaryFolder()
    let path = golden + "/llama-grouped/dense"
    try Model(at: path).convert(to: folder("whole.onnx"), type: nil, options: WriteOptions(format: .onnx), pool: pool)
    let difference = try diff(path, folder("whole.onnx"))
    #expect(difference.onlyInFirst.isEmpty && difference.changed.isEmpty, "\(difference.text)")
    #expect(difference.sides.map(\.format) == ["safetensors", "onnx"])
  }

  @Test("what a compaction changed is told: counts, configuration, extents")
  func compacted() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: golden + "/llama-grouped/masked")
    try model.compact(model.plan(pool: pool), to: folder("small"), pool: pool)
    let difference = try diff(model.path, folder("small"))
    #expect(difference.layers.count == 2)
    #expect(difference.configuration.map(\.name) == ["intermediate_size"])
    #expect(difference.configuration.first?.first == "37" && difference.configuration.first?.second == "30")
    #expect(difference.changed.count == 6)
    #expect(difference.onlyInFirst.isEmpty && difference.onlyInSecond.isEmpty)
    #expect(difference.text.contains("layers.*.mlp.up_proj.weight (2)"))
  }

  @Test("tensors of one side only are named")
  func heads() throws {
    let difference = try diff(golden + "/bert-plain/dense", golden + "/bert-masked-lm/dense")
    #expect(difference.onlyInFirst.contains("pooler.dense.weight"))
    #expect(difference.onlyInSecond.contains("cls.predictions.bias"))
  }
}
