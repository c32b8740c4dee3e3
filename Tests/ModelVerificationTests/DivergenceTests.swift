import GraphCompaction
import GraphExecution
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage
import Testing

@Suite("A difference is traced to the operator at which two models part")
struct DivergenceTests {
  private let tokens: [[Float]] = [[1, 0], [0, 1], [1, 1]]

  private func find(
    _ a: SmallGraph, _ b: SmallGraph, kept: [Int]? = nil, mask: [Int64]? = nil
  ) throws -> Divergence? {
    let (x, y) = (try a.build(), try b.build())
    let pairs = Dictionary(
      uniqueKeysWithValues: zip(x.graph.nodes, y.graph.nodes).flatMap { a, b in
        zip(a.outputs.compactMap(\.self), b.outputs.compactMap(\.self)).map { ($0, $1) }
      })
    let neurons = Set([x.graph.nodes[0].outputs[0], x.graph.nodes[1].outputs[0]].compactMap(\.self))
    return try Divergence.find(
      reference: x.graph, other: y.graph, pairs: pairs,
      axes: { value in
        kept.flatMap { neurons.contains(value) ? [ComparedAxis(axis: 2, positions: $0)] : nil } ?? []
      }, inputs: SmallGraph.inputs(tokens, mask: mask), pool: pool)
  }

  @Test("equal models do not part")
  func equal() throws {
    #expect(try find(SmallGraph(), SmallGraph()) == nil)
    #expect(try find(SmallGraph(), SmallGraph(up: [1, 3, 4, 6], down: [1, 0, 1, 1]), kept: [0, 2])?.op == "MatMul")
  }

  @Test("the product that reads a changed weight is named, not what comes after it")
  func product() throws {
    // Weight [1, 2] is 7 for 6: token (0, 1) is the first to see it, at neuron 2.
    let found = try #require(try find(SmallGraph(), SmallGraph(up: [1, 2, 3, 4, 5, 7])))
    #expect(found.op == "MatMul" && found.weights == ["up"])
    #expect(found.index == [0, 1, 2] && found.otherIndex == [0, 1, 2])
    #expect(found.reference == 6 && found.other == 7 && found.differing == 2)
    #expect(found.description.contains("which reads up: element [0, 1, 2] is 6.0 and 7.0"))
  }

  @Test("the second product and the factor are told apart")
  func later() throws {
    let down = try #require(try find(SmallGraph(), SmallGraph(down: [1, 0, 0, 1, 1, 2])))
    #expect(down.op == "MatMul" && down.weights == ["down"] && down.index == [0, 0, 1])
    let factor = try #require(try find(SmallGraph(), SmallGraph(factor: 2)))
    #expect(factor.op == "Mul" && factor.weights == ["factor"])
  }

  @Test("places are the original's where neurons are gone")
  func kept() throws {
    // Neuron 1 is gone; neuron 2 of the original is 1 of the smaller model, and its weight for channel 0 is 3.5 for 3.
    let original = SmallGraph(down: [1, 0, 0, 0, 1, 1])
    let found = try #require(
      try find(original, SmallGraph(up: [1, 3.5, 4, 6], down: [1, 0, 1, 1]), kept: [0, 2]))
    #expect(found.index == [0, 0, 2] && found.otherIndex == [0, 0, 1])
    #expect(found.reference == 3 && found.other == 3.5)
    #expect(found.description.contains("[0, 0, 2] ([0, 0, 1] in the compacted model)"))
  }

  @Test("tokens that the mask leaves out are not looked at")
  func masked() throws {
    let other = SmallGraph(up: [1, 2, 3, 4, 5, 7])
    #expect(try find(SmallGraph(), other, mask: [1, 0, 0]) == nil)
    #expect(try find(SmallGraph(), other, mask: [1, 0, 1])?.index == [0, 2, 2])
  }

  @Test("the distance from the unmasked model is found in the same walk")
  func distance() throws {
    let (original, masked) = (try SmallGraph().build(), try SmallGraph(down: [1, 0, 0, 1, 0, 0]).build())
    let value = ComparedValue(
      name: "logits", kind: .output, layer: nil, reference: masked.result, other: masked.result)
    var shares: [Double] = []
    let comparison = try RunComparison(
      reference: masked.graph, other: masked.graph, values: [value], inputs: SmallGraph.inputs(tokens),
      unmasked: original.graph, pool: pool, progress: { shares.append($0.share) })
    #expect(comparison.isBitIdentical)
    // Token (1, 1) gives (14, 16) and, without the third neuron (9), (5, 7): 9 of 16.
    #expect(comparison.distanceFromUnmasked == 9.0 / 16)
    #expect(shares.last == 1 && shares == shares.sorted())
  }
}
