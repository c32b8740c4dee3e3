import GraphExecution
import ModelGraph
import ModelVerification
import PollardBase
import TensorStorage
import Testing

@Suite("Two graphs are run on the same inputs and compared value by value")
struct RunComparisonTests {
  private let tokens: [[Float]] = [[1, 0], [0, 1], [1, 1]]

  /// Compares neurons (kept ones of the reference, by position) and the output.
  private func compare(
    _ a: SmallGraph, _ b: SmallGraph, kept: [Int]? = nil, tokens: [[Float]]? = nil, mask: [Int64]? = nil
  ) throws -> RunComparison {
    let (x, y) = (try a.build(), try b.build())
    let values = [
      ComparedValue(
        name: "layer 4 neurons", kind: .neurons, layer: 4, reference: x.neurons, other: y.neurons, positions: kept,
        units: kept),
      ComparedValue(name: a.output, kind: .output, layer: nil, reference: x.result, other: y.result),
    ]
    return try RunComparison(
      reference: x.graph, other: y.graph, values: values,
      inputs: SmallGraph.inputs(tokens ?? self.tokens, mask: mask), pool: pool)
  }

  @Test("the same graph is bit identical")
  func identical() throws {
    let result = try compare(SmallGraph(), SmallGraph())
    #expect(result.isBitIdentical && result.isWithin(0))
    #expect(result.values.count == 2)
    #expect(result.maximumAbsolute == 0 && result.maximumULP == 0)
    #expect(result.firstDifference == nil)
    #expect(result.topAgreement == 1)
    #expect(result.values.allSatisfy { abs($0.cosine - 1) < 1e-12 })
  }

  @Test("a smaller graph is compared at the neurons it keeps")
  func kept() throws {
    // Neuron 1 is read by nobody, so it may go.
    let original = SmallGraph(down: [1, 0, 0, 0, 1, 1])
    let small = SmallGraph(up: [1, 3, 4, 6], down: [1, 0, 1, 1])
    #expect(try compare(original, small, kept: [0, 2]).isBitIdentical)
    let wrong = try compare(original, small, kept: [0, 1])
    #expect(wrong.firstDifference == "layer 4, neuron 1")
  }

  @Test("the first difference is the neuron in the original's numbers, its size as worked out by hand")
  func first() throws {
    let original = SmallGraph(down: [1, 0, 0, 0, 1, 1])
    // The last neuron's weight for channel 0 is 3.5 instead of 3: tokens 0 and 2 move by a half.
    let small = SmallGraph(up: [1, 3.5, 4, 6], down: [1, 0, 1, 1])
    let result = try compare(original, small, kept: [0, 2])
    #expect(!result.isBitIdentical)
    #expect(result.firstDifference == "layer 4, neuron 2")
    #expect(result.values[0].differing == 2)
    #expect(result.values[0].maximumAbsolute == 0.5)
    #expect(result.values[1].differing == 4)
    // Largest output: token (1, 1) gives (5 + 9, 9).
    #expect(result.values[1].maximumReference == 14)
    #expect(!result.isWithin(0) && !result.isWithin(0.03))
    #expect(result.isWithin(0.06))
  }

  @Test("padding positions are not compared")
  func padding() throws {
    // Only tokens with a second channel see the change.
    let other = SmallGraph(up: [1, 2, 3, 4, 5, 7])
    #expect(try !compare(SmallGraph(), other).isBitIdentical)
    #expect(try compare(SmallGraph(), other, mask: [1, 0, 0]).isBitIdentical)
    #expect(try !compare(SmallGraph(), other, mask: [0, 0, 1]).isBitIdentical)
  }

  @Test("an output's difference names channel and row")
  func output() throws {
    let result = try compare(SmallGraph(), SmallGraph(down: [1, 0, 0, 1, 1, 2]))
    #expect(result.values[0].differing == 0)
    #expect(result.firstDifference == "logits, channel 1 of compared row 0")
  }

  @Test("top-1 agreement is the share of rows with the same largest logit")
  func top() throws {
    // Reference rows (1, 0) → (4, 5), (0, 1) → (10, 11), (1, 1) → (14, 16): channel 1 leads.
    // With the columns of `down` exchanged channel 0 leads everywhere.
    #expect(try compare(SmallGraph(), SmallGraph(down: [0, 1, 1, 0, 1, 1])).topAgreement == 0)
    var named = SmallGraph()
    named.output = "last_hidden_state"
    #expect(try compare(named, named).topAgreement == nil)
  }

  @Test("NaN matches NaN, and nothing else")
  func notANumber() throws {
    let poisoned = SmallGraph(factor: .nan)
    #expect(try compare(poisoned, poisoned).isBitIdentical)
    let result = try compare(SmallGraph(), poisoned)
    #expect(!result.isBitIdentical)
    #expect(result.maximumAbsolute == .infinity)
    #expect(!result.isWithin(1))
  }

  @Test("zeros of either sign are equal and counted")
  func signs() throws {
    // Outputs of token (0, 0) are +0; times -1 they are -0.
    let result = try compare(SmallGraph(), SmallGraph(factor: -1), tokens: [[0, 0]])
    #expect(result.isBitIdentical)
    #expect(result.values[1].signDifferences == 2)
  }

  @Test("other extents are a difference")
  func extents() throws {
    let result = try compare(SmallGraph(), SmallGraph(up: [1, 3, 4, 6], down: [1, 0, 1, 1]))
    #expect(!result.isBitIdentical)
    #expect(result.firstDifference?.contains("other extents") == true)
  }

  @Test("one representable number apart is one ULP")
  func ulp() throws {
    let result = try compare(SmallGraph(), SmallGraph(factor: Float(1).nextUp), tokens: [[1, 0]])
    #expect(result.maximumULP >= 1 && result.maximumULP <= 2)
    #expect(result.isWithin(1e-6))
  }
}
