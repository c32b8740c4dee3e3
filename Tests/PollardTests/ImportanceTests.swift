import Pollard
import PollardBase
import Testing

/// A case of `golden/importance`, made by torch in double precision.
private let cases =
  ((try? Directories.names(in: golden + "/importance")) ?? []).filter { $0.hasSuffix(".safetensors") }
  .map { String($0.dropLast(".safetensors".count)) }.sorted()

/// A metric as torch's files name it, and as it is asked for.
struct ScoredMetric: Sendable, CustomTestStringConvertible {
  var name: String
  var request: MaskRequest

  var testDescription: String { name }

  static let all: [ScoredMetric] = [
    Self(name: "l1.output", request: request(.l1)), Self(name: "l2.output", request: request(.l2)),
    Self(name: "l1.all", request: request(.l1, slices: .all)),
    Self(name: "l2.all", request: request(.l2, slices: .all)),
    Self(name: "activation.l1", request: request(.activation, norm: .l1)),
    Self(name: "activation.l2", request: request(.activation, norm: .l2)),
    Self(name: "ablation", request: request(.ablation)),
  ]

  private static func request(
    _ metric: ImportanceMetric, slices: WeightSlices = .output, norm: ContributionNorm = .l2
  ) -> MaskRequest {
    MaskRequest(heads: .count(1), feedForward: .count(1), metric: metric, slices: slices, norm: norm, neuronGroup: 1)
  }
}

@Suite("Importance is what torch computes")
struct ImportanceTests {
  @Test("there are cases of several families")
  func present() { #expect(cases.count >= 10) }

  #if !DEBUG
    @Test(
      "every head, group and neuron, to 1e-5 of the largest score of its kind and layer", arguments: cases,
      ScoredMetric.all)
    func agrees(_ name: String, _ metric: ScoredMetric) throws {
      let entry = try GoldenCase.named(name)
      let folder = try TemporaryFolder()
      var request = metric.request
      if request.metric.needsInputs { request.inputs = entry.path("inputs") }
      let report = try Model(at: #require(entry.path("dense"))).makeMask(
        request, to: folder("mask.safetensors"), scores: folder("scores.safetensors"), pool: pool)
      let expected = try Tensors.doubles(golden + "/importance/\(name).safetensors")
      var compared = 0
      for (layer, scores) in report.scores.enumerated() {
        for (kind, found) in [("heads", scores.heads), ("groups", scores.groups), ("neurons", scores.neurons)] {
          guard let reference = expected["layers.\(layer).\(metric.name).\(kind)"] else {
            #expect(found.isEmpty, "layer \(layer), \(kind)")
            continue
          }
          #expect(found.count == reference.values.count, "layer \(layer), \(kind)")
          let scale = reference.values.max() ?? 0
          #expect(scale > 0)
          let gap = zip(found, reference.values).map { abs($0 - $1) }.max() ?? .infinity
          #expect(gap <= 1e-5 * scale, "layer \(layer), \(kind): \(gap) of \(scale)")
          compared += found.count
        }
      }
      #expect(
        compared == expected.filter { $0.key.contains(".\(metric.name).") }.reduce(0) { $0 + $1.value.values.count })
    }

    @Test("norms of readers packed in blocks are of the numbers they stand for", arguments: [ImportanceMetric.l1, .l2])
    func packed(_ metric: ImportanceMetric) throws {
      let folder = try TemporaryFolder()
      let report = try Model(at: golden + "/onnx/llama-nbits4/masked.onnx").makeMask(
        MaskRequest(heads: .count(1), feedForward: .count(1), metric: metric, neuronGroup: 1),
        to: folder("mask.safetensors"), pool: pool)
      let expected = try Tensors.doubles(golden + "/importance/packed/llama-nbits4.safetensors")
      for (layer, scores) in report.scores.enumerated() {
        for (kind, found) in [("heads", scores.heads), ("neurons", scores.neurons)] {
          let reference = try #require(expected["layers.\(layer).\(metric.rawValue).output.\(kind)"]).values
          #expect(found.count == reference.count)
          let gap = zip(found, reference).map { abs($0 - $1) }.max() ?? .infinity
          #expect(gap <= 1e-6 * (reference.max() ?? 0), "layer \(layer), \(kind)")
        }
      }
    }
  #endif

  @Test("the scores are written as they are shown, one tensor for all layers")
  func written() throws {
    let folder = try TemporaryFolder()
    let report = try Model(at: golden + "/llama-grouped/dense").makeMask(
      MaskRequest(heads: .count(2), feedForward: .share(0.3)), to: folder("mask.safetensors"),
      scores: folder("scores.safetensors"), pool: pool)
    let written = try Tensors.doubles(folder("scores.safetensors"))
    #expect(Set(written.keys) == ["head_scores", "kv_group_scores", "ffn_scores"])
    #expect(written["head_scores"]?.extents == [2, 8])
    #expect(written["kv_group_scores"]?.extents == [2, 4])
    #expect(written["head_scores"]?.values == report.scores.flatMap(\.heads).map { Double(Float($0)) })
    #expect(written["ffn_scores"]?.values == report.scores.flatMap(\.neurons).map { Double(Float($0)) })
  }

  @Test("what is not finite has no score")
  func notFinite() throws {
    let folder = try TemporaryFolder()
    let code = codeThrown {
      try Model(at: golden + "/bert-nan-void/masked").makeMask(
        MaskRequest(heads: .count(1), feedForward: .count(1), slices: .all), to: folder("mask.safetensors"), pool: pool)
    }
    #expect(code == "notScorable")
  }
}

@Suite("The least important units are chosen, and never all by accident")
struct LeastImportantTests {
  private static func choose(
    _ scores: [[Double]], _ amount: UnitAmount, _ scope: RankingScope, keepsOne: Bool = true, size: Int = 1
  ) -> LeastImportant {
    LeastImportant(
      scores, sizes: scores.map { $0.map { _ in size } }, amount, scope, keepsOne: keepsOne)
  }

  @Test("within each layer, the lowest scores; of equal ones the lower number")
  func layers() {
    let choice = Self.choose([[3, 1, 2, 1], [5, 5, 5, 5]], .share(0.5), .layer)
    #expect(choice.chosen == [[1, 3], [0, 1]])
    #expect(choice.spared.isEmpty && choice.missing == 0)
  }

  @Test("over the model, wherever they are")
  func global() {
    let choice = Self.choose([[3, 1, 2, 1], [5, 5, 5, 0]], .count(2), .global)
    #expect(choice.chosen == [[1, 2, 3], [3]])
  }

  @Test("a layer keeps one unless asked, and says so", arguments: [RankingScope.layer, .global])
  func spared(_ scope: RankingScope) {
    let kept = Self.choose([[1, 2], [3, 4]], .share(1), scope)
    #expect(kept.chosen == [[0], [0]])
    #expect(kept.spared == [0, 1])
    #expect(kept.missing == 2)
    let all = Self.choose([[1, 2], [3, 4]], .share(1), scope, keepsOne: false)
    #expect(all.chosen == [[0, 1], [0, 1]])
    #expect(all.spared.isEmpty && all.missing == 0)
  }

  @Test("what goes together goes whole, and never more than was asked for")
  func runs() {
    let choice = Self.choose([[1, 2, 3, 4]], .count(7), .layer, size: 3)
    #expect(choice.chosen == [[0, 1]])
    #expect(choice.missing == 1)
    let short = LeastImportant([[1, 2, 3]], sizes: [[4, 4, 2]], .count(6), .layer, keepsOne: true)
    #expect(short.chosen == [[0, 2]])
  }

  @Test("a number too large to multiply is all there is")
  func large() { #expect(Self.choose([[1, 2], [3, 4]], .count(.max), .global).chosen == [[0], [0]]) }
}
