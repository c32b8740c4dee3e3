import Pollard
import PollardBase
import Testing

@Suite("Masks of single weights take out the smallest")
struct WeightMaskTests {
  /// The weights of a case's matrices with their masks, in the order of names.
  private static func masked(
    _ name: String, _ rule: WeightRule
  ) throws -> (report: WeightMaskReport, matrices: [(name: String, extents: [Int], values: [Double], kept: [Double])]) {
    let folder = try TemporaryFolder()
    let path = golden + "/\(name)/dense"
    let report = try Model(at: path).makeWeightMask(rule, to: folder("mask.safetensors"), pool: pool)
    let masks = try Tensors.doubles(folder("mask.safetensors"))
    let weights = try Tensors.doubles(path + "/model.safetensors")
    let matrices = try masks.keys.sorted().map { key in
      let weight = try #require(weights[String(key.dropLast("_mask".count))])
      let mask = try #require(masks[key])
      #expect(mask.extents == weight.extents)
      return (key, weight.extents, weight.values, mask.values)
    }
    return (report, matrices)
  }

  @Test(
    "every matrix of the layers, no table, no norm, no head",
    arguments: [("bert-masked-lm-5", 6), ("gpt2-lm-5", 4), ("llama-grouped-5", 7), ("t5-lm-5", 0)])
  func which(_ name: String, _ perLayer: Int) throws {
    let matrices = try Self.masked(name, .magnitude(0.5, .layer)).matrices
    let layers = try Model(at: golden + "/\(name)/dense").layers.count
    if perLayer > 0 { #expect(matrices.count == perLayer * layers) }
    #expect(
      !matrices.contains { $0.name.contains("embed") || $0.name.contains("relative") || $0.name.contains("lm_head") })
  }

  @Test("a share of each matrix, the smallest magnitudes", arguments: [0.0, 0.3, 0.5, 1.0])
  func magnitude(_ share: Double) throws {
    let (report, matrices) = try Self.masked("bert-masked-lm-5", .magnitude(share, .layer))
    for matrix in matrices {
      let gone = zip(matrix.values, matrix.kept).filter { $1 == 0 }.map { abs($0.0) }
      let kept = zip(matrix.values, matrix.kept).filter { $1 == 1 }.map { abs($0.0) }
      #expect(gone.count == Int((share * Double(matrix.values.count)).rounded(.toNearestOrEven)))
      #expect(gone.count + kept.count == matrix.values.count)
      if let most = gone.max(), let least = kept.min() { #expect(most <= least) }
    }
    #expect(report.matrices.reduce(0) { $0 + $1.masked } == matrices.reduce(0) { $0 + $1.kept.count { $0 == 0 } })
    #expect(report.notes.contains { $0.contains("no smaller") })
  }

  @Test("a share of all matrices together")
  func global() throws {
    let matrices = try Self.masked("gpt2-lm-5", .magnitude(0.4, .global)).matrices
    let all = matrices.flatMap { zip($0.values, $0.kept) }
    let gone = all.filter { $1 == 0 }.map { abs($0.0) }
    #expect(gone.count == Int((0.4 * Double(all.count)).rounded(.toNearestOrEven)))
    #expect((gone.max() ?? 0) <= (all.filter { $1 == 1 }.map { abs($0.0) }.min() ?? 0))
  }

  @Test(
    "two of four along the axis that products sum over: columns of a linear layer, rows of GPT-2's",
    arguments: [("bert-masked-lm-5", 1), ("gpt2-lm-5", 0)])
  func pattern(_ name: String, _ axis: Int) throws {
    for matrix in try Self.masked(name, .pattern(keeping: 2, of: 4)).matrices {
      let (rows, columns) = (matrix.extents[0], matrix.extents[1])
      let (lines, length) = axis == 1 ? (rows, columns) : (columns, rows)
      for line in 0..<lines {
        for start in stride(from: 0, to: length, by: 4) {
          let run = (start..<min(start + 4, length)).map { axis == 1 ? line * columns + $0 : $0 * columns + line }
          let kept = run.filter { matrix.kept[$0] == 1 }
          #expect(kept.count == min(2, run.count), "\(matrix.name)")
          let least = kept.map { abs(matrix.values[$0]) }.min() ?? 0
          #expect(run.filter { matrix.kept[$0] == 0 }.allSatisfy { abs(matrix.values[$0]) <= least })
        }
      }
    }
  }

  @Test(
    "patterns are read strictly",
    arguments: ["2:4", "1:2", "4:8", "", "2", "4:4", "0:4", "2:4:8", "2:", "-1:4", "2:1000", "a:b"])
  func parsing(_ text: String) { #expect((WeightRule(pattern: text) != nil) == ["2:4", "1:2", "4:8"].contains(text)) }
}
