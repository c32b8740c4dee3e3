import Pollard
import Testing

@Suite("The library as a program that imports only Pollard uses it")
struct LibraryTests {
  private let demo = golden + "/demo/masked"
  private let masks = golden + "/demo/masks.safetensors"

  @Test("a model is opened from its headers and says what it is")
  func summary() throws {
    let model = try Model(at: demo)
    #expect(model.summary.architecture == "BertForMaskedLM" || model.summary.architecture?.hasPrefix("Bert") == true)
    #expect(model.summary.parameters > 0)
    #expect(model.summary.bytes >= 4 * model.summary.parameters)
    #expect(model.summary.layers.count == model.layers.count)
    #expect(model.summary.text.contains("parameters"))
    #expect(model.graph.nodes.isEmpty == false)
  }

  @Test("from the masked checkpoint to a verified smaller one, in four calls")
  func sketch() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: demo)
    let plan = try model.plan(masks: .file(masks), options: PlanOptions(shape: .ragged))
    #expect(plan.counts.requested == 882)
    let report = try model.compact(plan, to: folder("small"))
    #expect(report.parameters.after < report.parameters.before)
    #expect(report.bytes.after < report.bytes.before)
    let verification = try verify(
      original: model, compacted: Model(at: folder("small")), masks: .file(masks),
      options: VerificationOptions(batch: 1, length: 4))
    #expect(verification.equal)
    #expect(verification.bitIdentical == true)
    #expect(verification.firstDifference == nil)
  }

  @Test("a plan is a value: a preview of it writes nothing and tells what compacting gives")
  func preview() throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: demo)
    let plan = try model.plan()
    let preview = try model.preview(plan)
    #expect(preview.output == nil)
    #expect(try folder.names.isEmpty)
    let report = try model.compact(plan, to: folder("small"))
    #expect(preview.parameters == report.parameters)
    #expect(preview.layers == report.layers)
  }

  @Test("an error is a value with a code and a sentence")
  func failure() throws {
    let failure = #expect(throws: FormatError.self) { _ = try Model(at: golden + "/nowhere") }
    #expect(failure?.code.name == "noCheckpoint")
    #expect(failure?.description.contains("nowhere") == true)
  }
}
