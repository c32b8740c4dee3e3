import Pollard
import PollardBase
import Testing

#if !DEBUG
  /// A model whose outputs torch has computed: the masked original, or what compaction made of it.
  struct RunnableModel: Sendable, CustomTestStringConvertible {
    let golden: GoldenCase
    /// Nil for the masked original itself.
    let origin: Scenario.Origin?

    var testDescription: String { golden.name + (origin.map { ", compacted from \($0.rawValue)" } ?? ", masked") }

    static let all: [RunnableModel] =
      GoldenCase.all.filter { $0.path("expected") != nil && $0.path("masked") != nil }.map {
        RunnableModel(golden: $0, origin: nil)
      }
      + Scenario.compacting.filter { $0.golden.path("expected") != nil }.map {
        RunnableModel(golden: $0.golden, origin: $0.origin)
      }
  }

  @Suite("Models compute what torch computes in double precision")
  struct GoldenRunTests {
    @Test("outputs and the hidden state after every layer, at valid positions", arguments: RunnableModel.all)
    func agrees(_ runnable: RunnableModel) throws {
      let folder = try TemporaryFolder()
      var path = runnable.golden.path("masked")
      if let origin = runnable.origin {
        _ = try Scenario(golden: runnable.golden, origin: origin).compact(to: folder("compacted"))
        path = folder("compacted")
      }
      let inputs = try #require(runnable.golden.path("inputs"))
      try Model(at: #require(path)).run(inputs: inputs, outputs: folder("out.safetensors"), allLayers: true, pool: pool)

      let results = try Tensors.doubles(folder("out.safetensors"))
      let expected = try Tensors.doubles(#require(runnable.golden.path("expected")))
      #expect(Set(expected.keys) == Set(runnable.golden.entry["outputs"]?.arrayValue?.compactMap(\.stringValue) ?? []))
      let given = try Tensors.doubles(inputs)
      for (name, reference) in expected {
        let isDecoder = given["decoder_attention_mask"] != nil && !name.hasPrefix("encoder_")
        let valid = try #require(given[isDecoder ? "decoder_attention_mask" : "attention_mask"]).values
        let result = try #require(results[name], "\(name)")
        #expect(result.extents == reference.extents, "\(name)")
        let width = runnable.golden.isPerToken(name) ? reference.values.count / valid.count : 0
        let places = reference.values.indices.filter { width == 0 || valid[$0 / width] != 0 }
        #expect(!places.isEmpty)
        let scale = places.map { abs(reference.values[$0]) }.max() ?? 0
        #expect(scale.isFinite && scale > 0)
        let gap = places.map { abs(result.values[$0] - reference.values[$0]) }.reduce(0) {
          $1.isNaN ? .infinity : max($0, $1)
        }
        #expect(gap <= Tolerances.torchDouble.share * scale, "\(name): \(gap) of \(scale)")
      }
    }

    @Test(
      "the masked original and the compacted model give the same bits",
      arguments: Scenario.compacting.filter { $0.golden.path("masked") != nil })
    func bits(_ scenario: Scenario) throws {
      guard let inputs = scenario.golden.path("inputs"), let masked = scenario.golden.path("masked") else { return }
      let folder = try TemporaryFolder()
      _ = try scenario.compact(to: folder("compacted"))
      try Model(at: masked).run(inputs: inputs, outputs: folder("a.safetensors"), allLayers: true, pool: pool)
      try Model(at: folder("compacted")).run(
        inputs: inputs, outputs: folder("b.safetensors"), allLayers: true, pool: pool)
      let (a, b) = (try Tensors.stored(folder("a.safetensors")), try Tensors.stored(folder("b.safetensors")))
      #expect(a.keys == b.keys)
      let values = (try Tensors.doubles(folder("a.safetensors")), try Tensors.doubles(folder("b.safetensors")))
      for (name, x) in values.0 {
        let y = try #require(values.1[name])
        #expect(zip(x.values, y.values).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }, "\(name)")
      }
    }
  }
#endif
