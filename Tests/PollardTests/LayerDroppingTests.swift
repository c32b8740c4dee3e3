import Pollard
import PollardBase
import Testing

@Suite("Layers can be dropped, and the verifier only accepts it when it is told")
struct LayerDroppingTests {
  @Test(
    "the others are numbered anew, byte for byte, whatever the format of the output",
    arguments: ["bert-plain", "llama-grouped", "gpt2-lm", "qwen2", "distilbert-plain"], [0, 1])
  func renumbered(_ name: String, layer: Int) throws {
    let folder = try TemporaryFolder()
    let path = golden + "/\(name)/masked"
    let model = try Model(at: path)
    let rest = try model.dropping(layers: [layer])
    #expect(rest.layers.count == model.layers.count - 1)
    try rest.compact(rest.plan(pool: pool), to: folder("small"), pool: pool)
    let small = try Model(at: folder("small"), allowingRagged: true)
    #expect(small.layers.count == rest.layers.count)
    #expect(small.receipt?.droppedLayers == [layer])
    let told = try verify(original: rest, compacted: small, pool: pool)
    #expect(told.equal && told.bitIdentical == true, "\(told.text)")
    #expect(try !verify(original: model, compacted: small, pool: pool).equal)
    try rest.compact(
      rest.plan(options: PlanOptions(format: .onnx), pool: pool), to: folder("small.onnx"),
      options: WriteOptions(format: .onnx), pool: pool)
    #expect(try verify(original: rest, compacted: Model(at: folder("small.onnx")), pool: pool).equal)
  }

  @Test("a mask speaks of the layers as they are stored")
  func masked() throws {
    let folder = try TemporaryFolder()
    let rest = try Model(at: golden + "/llama-grouped/dense").dropping(layers: [0])
    let masks = MaskSource.file(golden + "/llama-grouped/masks.safetensors")
    let plan = try rest.plan(masks: masks, pool: pool)
    let whole = try Model(at: golden + "/llama-grouped/dense").plan(masks: masks, pool: pool)
    #expect(plan.layers[0].neurons?.removed.map(\.index) == whole.layers[1].neurons?.removed.map(\.index))
    try rest.compact(plan, to: folder("small"), pool: pool)
    #expect(try verify(original: rest, compacted: Model(at: folder("small")), masks: masks, pool: pool).equal)
  }

  @Test("layers that are not there, and all of them, are refused", arguments: [[2], [0, 1], [-1]])
  func refused(_ layers: [Int]) throws {
    let model = try Model(at: golden + "/llama-grouped/dense")
    #expect(throws: FormatError.self) { try model.dropping(layers: layers) }
  }

  @Test(
    "a graph whose stream is not certain is refused with what helps",
    arguments: ["llama-gqa", "bert-ort-fused-eager", "t5-ts17-eager"])
  func graph(_ name: String) throws {
    let model = try Model(at: golden + "/onnx/\(name)/masked.onnx")
    #expect(codeThrown { _ = try model.dropping(layers: [0]) } == "streamUncertain")
    #expect(codeThrown { _ = try model.dropping(layers: [99]) } == "noSuchLayer")
  }
}
