import CheckpointFormats
import Pollard
import PollardBase
import Testing

@Suite("What cannot be had is refused before anything is written")
struct RefusedRequestTests {
  @Test("a loader that the result must open in, and counts that it cannot hold")
  func loader() throws {
    let entry = try GoldenCase.named("llama-grouped-5")
    let model = try Model(at: #require(entry.path("dense")))
    let masks = try #require(entry.path("masks"))
    let options = PlanOptions(shape: .ragged, loader: "transformers-5")
    #expect(codeThrown { _ = try model.plan(masks: .file(masks), options: options, pool: pool) } == "cannotLoad")
    #expect(try model.plan(
        masks: .file(masks), options: PlanOptions(loader: "transformers-5"), pool: pool).target != nil)
  }

  @Test("a mask of heads for a model that has none")
  func mask() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: golden + "/onnx/resnet-ts17-norms/masked.onnx")
    #expect(
      codeThrown { _ = try model.makeMask(MaskRequest(heads: .count(1)), to: folder("mask.safetensors"), pool: pool) }
        == "notScorable")
    #expect(try folder.names.isEmpty)
  }
}
