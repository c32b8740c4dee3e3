import Pollard
import PollardBase
import Testing

/// The folder of checkpoints that transformers wrote, with torch's outputs.
let golden = Paths.join(Paths.parent(Paths.parent(Paths.parent(Paths.parent(#filePath)))), "golden")

/// One case of the golden set's manifest.
struct GoldenCase: Sendable, CustomTestStringConvertible {
  let entry: JSONValue

  var name: String { entry["name"]?.stringValue ?? "" }
  var testDescription: String { name }

  func path(_ key: String) -> String? { entry[key]?.stringValue.map { Paths.join(golden, $0) } }

  /// The values a model of this case has once per sequence rather than once per token.
  func isPerToken(_ output: String) -> Bool {
    let classifies = entry["class"]?.stringValue?.hasSuffix("ForSequenceClassification") == true
    return output != "pooler_output" && !(output == "logits" && classifies)
  }

  static let all: [GoldenCase] = {
    guard let manifest = try? Files.json(Paths.join(golden, "manifest.json")) else { return [] }
    return (manifest["cases"]?.arrayValue ?? []).map(GoldenCase.init)
  }()

  static func named(_ name: String) throws -> GoldenCase { try #require(all.first { $0.name == name }) }
}

/// A way to compact a golden case: its dense checkpoint under a mask file, or its masked one from the zeros in it.
struct Scenario: Sendable, CustomTestStringConvertible {
  enum Origin: String, Sendable { case masks, zeros }

  let golden: GoldenCase
  let origin: Origin

  var testDescription: String { "\(golden.name) from \(origin.rawValue)" }

  /// The manifest's expectation; nil where the case does not have this way.
  var expected: JSONValue? {
    let value = golden.entry[origin == .masks ? "with_masks" : "from_zeros"]
    return value?.isNull == false ? value : nil
  }

  /// The name of the refusal that is expected.
  var refusal: String? { expected?["error"]?.stringValue }

  /// The checkpoint to compact.
  var original: String {
    (origin == .masks ? golden.path("dense") ?? golden.path("masked") : golden.path("masked")) ?? ""
  }

  var masks: String? { origin == .masks ? golden.path("masks") ?? golden.path("masks_json") : nil }

  var maskSource: MaskSource { masks.map(MaskSource.file) ?? .zeros }

  /// All that the manifest expects something of.
  static let all: [Scenario] = GoldenCase.all.flatMap { golden in
    [Origin.masks, .zeros].map { Scenario(golden: golden, origin: $0) }
  }.filter { !$0.original.isEmpty && $0.expected != nil && ($0.origin == .zeros || $0.masks != nil) }

  static let compacting = all.filter { $0.refusal == nil }
  static let refusing = all.filter { $0.refusal != nil }

  /// Compacts under `--shape ragged`, or other options.
  func compact(
    to output: String, options: PlanOptions = PlanOptions(shape: .ragged), writing: WriteOptions = WriteOptions()
  ) throws -> CompactionReport {
    let model = try Model(at: original)
    let plan = try model.plan(masks: maskSource, options: options, pool: pool)
    return try model.compact(plan, to: output, options: writing, pool: pool)
  }

  /// Verifies with the masks that the compaction had, if any.
  func verify(_ output: String, options: VerificationOptions = VerificationOptions()) throws -> Verification {
    try Pollard.verify(
      original: original, compacted: output, masks: masks.map(MaskSource.file), options: options, pool: pool)
  }
}

/// Two threads: enough to divide work, few enough to run beside other tests.
let pool = ThreadPool(threadCount: 2)

/// Compacts a golden case and gives the folder of the result.
func compacted(
  _ name: String, _ origin: Scenario.Origin, in folder: TemporaryFolder,
  options: PlanOptions = PlanOptions(shape: .ragged)
) throws -> (scenario: Scenario, path: String) {
  let scenario = Scenario(golden: try GoldenCase.named(name), origin: origin)
  _ = try scenario.compact(to: folder("compacted"), options: options)
  return (scenario, folder("compacted"))
}
