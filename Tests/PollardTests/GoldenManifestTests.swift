import GraphCompaction
import Pollard
import PollardBase
import Testing

@Suite("Golden checkpoints are compacted as the manifest expects")
struct GoldenManifestTests {
  @Test("units, parameters and the counts of every layer under ragged", arguments: Scenario.compacting)
  func counts(_ scenario: Scenario) throws {
    let folder = try TemporaryFolder()
    let report = try scenario.compact(to: folder("compacted"))
    let counts = report.plan.counts
    let expected = try #require(scenario.expected)
    #expect(counts.dead == expected["dead"]?.intValue)
    #expect(counts.declared == expected["declared"]?.intValue)
    #expect(counts.constant == expected["constant"]?.intValue)
    #expect(counts.padded == expected["padded"]?.intValue ?? 0)
    #expect(counts.rescaled == expected["fractional"]?.intValue ?? 0)
    #expect(counts.removed == counts.dead + counts.declared)
    #expect(counts.requested == counts.removed + counts.padded)

    let parameters = scenario.golden.entry["parameters"]
    #expect(report.parameters.before == parameters?["before"]?.intValue)
    #expect(report.parameters.after == parameters?["after_ragged"]?.intValue)
    let model = try Model(at: folder("compacted"))
    #expect(model.parameterCount == report.parameters.after)

    let layers = try #require(scenario.golden.entry["layers_ragged"]?.arrayValue)
    #expect(model.layers.count == layers.count)
    for (layer, (plan, entry)) in zip(model.layers, zip(report.plan.layers, layers)) {
      #expect(layer.heads == entry["heads"]?["after"]?.intValue, "layer \(layer.index)")
      #expect(layer.keyValueHeads == entry["key_value_heads"]?["after"]?.intValue, "layer \(layer.index)")
      #expect(layer.feedForward == entry["ffn"]?["after"]?.intValue, "layer \(layer.index)")
      #expect(plan.heads?.units.before == entry["heads"]?["before"]?.intValue)
      #expect(plan.heads?.groupsBefore == entry["key_value_heads"]?["before"]?.intValue)
      #expect((plan.neurons?.before ?? 0) == entry["ffn"]?["before"]?.intValue)
      #expect(plan.heads?.units.padded.count == entry["heads"]?["padded"]?.intValue, "layer \(layer.index)")
      #expect((plan.neurons?.padded.count ?? 0) == entry["ffn"]?["padded"]?.intValue, "layer \(layer.index)")
    }
  }

  @Test("the tensors of the files shrink by exactly the parameters that go", arguments: Scenario.compacting)
  func elements(_ scenario: Scenario) throws {
    let model = try Model(at: scenario.original)
    guard model.stored.storesParametersPlainly else { return }
    let folder = try TemporaryFolder()
    let report = try scenario.compact(to: folder("compacted"))
    let before = try Tensors.stored(scenario.original).values.reduce(0) { $0 + $1.elementCount }
    let after = try Tensors.stored(folder("compacted")).values.reduce(0) { $0 + $1.elementCount }
    #expect(before - after == report.parameters.before - report.parameters.after)
  }

  @Test(
    "units by name: dead, constant, and those that only look removable",
    arguments: Scenario.compacting.filter { $0.origin == .zeros })
  func classes(_ scenario: Scenario) throws {
    let expected = try #require(scenario.expected)
    let plan = try Model(at: scenario.original).plan(options: PlanOptions(shape: .ragged), pool: pool)
    func pairs(_ key: String) -> [[Int]]? {
      expected[key]?.arrayValue.map { $0.map { ($0.arrayValue ?? []).compactMap(\.intValue) } }
    }
    func listed(_ units: (LayerPlan) -> [Int]) -> [[Int]] {
      plan.layers.flatMap { layer in units(layer).map { [layer.index, $0] } }
    }
    if let dead = pairs("dead_heads") { #expect(listed { $0.heads?.units.removed.map(\.index) ?? [] } == dead) }
    if let dead = pairs("dead_neurons") { #expect(listed { $0.neurons?.removed.map(\.index) ?? [] } == dead) }
    if let constant = pairs("constant_heads") { #expect(listed { $0.heads?.units.constant ?? [] } == constant) }
    if let constant = pairs("constant_neurons") { #expect(listed { $0.neurons?.constant ?? [] } == constant) }
    let kept = (
      heads: listed { layer in layer.heads.map { $0.units.kept.filter { !layer.isFill(head: $0) } } ?? [] },
      neurons: listed { $0.neurons?.kept ?? [] }
    )
    for head in pairs("live_heads") ?? [] { #expect(kept.heads.contains(head)) }
    for neuron in pairs("live_neurons") ?? [] { #expect(kept.neurons.contains(neuron)) }
  }

  @Test(
    "a mask as JSON lists gives the same bytes as the mask as tensors",
    arguments: GoldenCase.all.filter { $0.path("masks") != nil && $0.path("masks_json") != nil })
  func json(_ golden: GoldenCase) throws {
    let folder = try TemporaryFolder()
    let model = try Model(at: #require(golden.path("dense") ?? golden.path("masked")))
    for (name, key) in [("a", "masks"), ("b", "masks_json")] {
      let plan = try model.plan(
        masks: .file(#require(golden.path(key))), options: PlanOptions(shape: .ragged), pool: pool)
      try model.compact(plan, to: folder(name), pool: pool)
    }
    #expect(try Files.contents(of: folder("a")) == Files.contents(of: folder("b")))
  }
}

extension LayerPlan {
  fileprivate func isFill(head: Int) -> Bool { heads?.units.padded.contains(head) ?? false }
}

@Suite("Golden requests that must be refused are refused by name, and nothing is written")
struct GoldenRefusalTests {
  @Test("the error of the manifest", arguments: Scenario.refusing)
  func refused(_ scenario: Scenario) throws {
    let folder = try TemporaryFolder()
    let code = codeThrown { _ = try scenario.compact(to: folder("compacted")) }
    #expect(code == scenario.refusal)
    #expect(try folder.names.isEmpty)
  }

  @Test("the verifier refuses the same masks", arguments: Scenario.refusing)
  func verifying(_ scenario: Scenario) throws {
    #expect(codeThrown { _ = try scenario.verify(scenario.original) } == scenario.refusal)
  }
}
