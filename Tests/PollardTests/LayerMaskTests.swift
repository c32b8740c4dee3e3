import Pollard
import PollardBase
import TensorStorage
import Testing

@Suite("A mask of layers leaves them out")
struct LayerMaskTests {
  private func mask(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) } }
  }

  private func write(_ values: [Float], to path: String) throws {
    try Tensors.write([("layer_mask", .f32, [values.count], mask(values))], to: path)
  }

  #if !DEBUG
    @Test("as an array and as a list, like dropping them by number", arguments: LayerCase.all, [true, false])
    func masked(_ golden: LayerCase, isArray: Bool) throws {
      let folder = try TemporaryFolder()
      let whole = try Model(at: golden.model)
      let masks: MaskSource
      if isArray {
        let count = try whole.stored.dimensionMap().layerBlocks.count
        try write((0..<count).map { $0 == golden.bypassed ? 0 : 1 }, to: folder("masks.safetensors"))
        masks = .file(folder("masks.safetensors"))
      } else {
        try folder.write("masks.json", "{\"remove\": {\"layers\": [\(golden.bypassed)]}}")
        masks = .file(folder("masks.json"))
      }
      let rest = try whole.withoutIdleLayers(masks: masks, pool: pool)
      #expect(rest.droppedLayers == [golden.bypassed])
      let small = folder(golden.output("small"))
      let report = try rest.compact(
        rest.plan(masks: masks, pool: pool), to: small, options: WriteOptions(verifies: true), pool: pool, masks: masks)
      #expect(report.verification?.bitIdentical == true, "\(report.verification?.text ?? "")")
      try golden.expectOutputs(of: small, equal: golden.expectedWithout, folder)
      let told = try verify(original: golden.model, compacted: small, masks: masks, pool: pool)
      #expect(told.equal && told.report.proof?.droppedLayers == [golden.bypassed], "\(told.text)")
      let dropped = try whole.dropping(layers: [golden.bypassed])
      #expect(try verify(original: dropped, compacted: Model(at: small, allowingRagged: true), pool: pool).equal)
      #expect(try !verify(original: golden.model, compacted: small, pool: pool).equal)
    }
  #endif

  @Test("numbers between, other counts and plans that ignore it are refused")
  func refused() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: LayerCase.named("llama").model)
    let masks = MaskSource.file(folder("masks.safetensors"))
    try write([1, 0.5, 1, 1], to: folder("masks.safetensors"))
    #expect(codeThrown { _ = try model.withoutIdleLayers(masks: masks, pool: pool) } == "maskValue")
    try write([1, 0, 1], to: folder("masks.safetensors"))
    #expect(codeThrown { _ = try model.withoutIdleLayers(masks: masks, pool: pool) } == "maskShape")
    try write([0, 0, 0, 0], to: folder("masks.safetensors"))
    #expect(codeThrown { _ = try model.withoutIdleLayers(masks: masks, pool: pool) } == "cannotExpress")
    try write([1, 0, 1, 1], to: folder("masks.safetensors"))
    #expect(codeThrown { _ = try model.plan(masks: masks, pool: pool) } == "layersStay")
    try folder.write("masks.json", #"{"remove": {"layers": [4]}}"#)
    #expect(
      codeThrown { _ = try model.withoutIdleLayers(masks: .file(folder("masks.json")), pool: pool) } == "maskIndex")
  }
}
