import Pollard
import PollardBase
import Testing

#if !DEBUG
  @Suite("Golden checkpoints, compacted, are proved and seen to be the same function")
  struct GoldenVerificationTests {
    enum Receipt: String, CaseIterable { case present, deleted }

    @Test(
      "verify says equal, bit identical and proved, with the receipt and without",
      arguments: Scenario.compacting, Receipt.allCases)
    func verified(_ scenario: Scenario, _ receipt: Receipt) throws {
      let folder = try TemporaryFolder()
      let report = try scenario.compact(to: folder("compacted"))
      #expect(Directories.kind(of: folder("compacted/compaction.json")) == (report.isCopy ? nil : .file))
      if receipt == .deleted, !report.isCopy { try Directories.remove(folder("compacted/compaction.json")) }
      let verification = try scenario.verify(folder("compacted"))
      #expect(verification.equal, "\(verification.text)")
      #expect(verification.bitIdentical == true)
      #expect(verification.firstDifference == nil)
      let proof = try #require(verification.report.proof)
      #expect(proof.ok)
      #expect(proof.unproven == 0)
      #expect(proof.removedUnits == report.plan.counts.removed)
      #expect(proof.dead == report.plan.counts.dead)
      #expect(proof.declared == report.plan.counts.declared)
      #expect(proof.padded == report.plan.counts.padded)
      let mapping = receipt == .present && !report.isCopy ? "the receipt" : "matching rows"
      #expect(verification.report.mapping == mapping)
      #expect(try #require(verification.report.run).comparison.values.count > 2)
    }

    @Test("the same holds under auto and uniform", arguments: Scenario.compacting, [ShapePolicy.auto, .uniform])
    func shapes(_ scenario: Scenario, _ shape: ShapePolicy) throws {
      let folder = try TemporaryFolder()
      let report = try scenario.compact(to: folder("compacted"), options: PlanOptions(shape: shape))
      let verification = try scenario.verify(folder("compacted"))
      #expect(verification.equal, "\(verification.text)")
      #expect(verification.bitIdentical == true)
      if shape == .uniform {
        #expect(Set(report.layers.map { [$0.heads, $0.keyValueHeads] }).count == 1)
        // Attentions of a decoder to its encoder have no neurons.
        #expect(Set(report.layers.map(\.feedForward)).subtracting([0]).count == 1)
        #expect(Directories.kind(of: folder("compacted")) == .directory)
      }
    }

    @Test("given inputs are what runs", arguments: ["bert-masked-lm", "llama-grouped", "gpt2-plain"])
    func inputs(_ name: String) throws {
      let folder = try TemporaryFolder()
      let (scenario, path) = try compacted(name, .masks, in: folder)
      let verification = try scenario.verify(
        path, options: VerificationOptions(inputs: scenario.golden.path("inputs")))
      #expect(verification.equal)
      #expect(try #require(verification.report.run).inputs.contains("as given"))
    }
  }
#endif
