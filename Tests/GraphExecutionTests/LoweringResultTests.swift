import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// One node over random operands, which is computed as it is and lowered.
struct LoweringCase: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var op: String
  var inputs: [ReferenceTensor.Random?]
  var attributes: [String: Attribute] = [:]
  var outputs = 1
  /// Whether the lowered nodes take every step in the same order, so that results have the same bits.
  var isExact = false

  init(
    _ description: String, _ op: String, _ inputs: [ReferenceTensor.Random?], _ attributes: [String: Attribute] = [:],
    outputs: Int = 1, isExact: Bool = false
  ) {
    testDescription = description
    self.op = op
    self.inputs = inputs
    self.attributes = attributes
    self.outputs = outputs
    self.isExact = isExact
  }

  static let all: [LoweringCase] = [
    LoweringCase("layer norm", "LayerNormalization", [.floats([2, 3, 24]), .floats([24]), .floats([24])]),
    LoweringCase("layer norm without bias", "LayerNormalization", [.floats([2, 3, 24]), .floats([24])]),
    LoweringCase(
      "layer norm over two axes", "LayerNormalization", [.floats([2, 3, 24]), .floats([3, 24])], ["axis": .integer(1)]),
    LoweringCase("root mean square norm", "RMSNormalization", [.floats([2, 3, 24]), .floats([24])]),
    LoweringCase(
      "root mean square norm, epsilon", "RMSNormalization", [.floats([5, 7]), .floats([7])], ["epsilon": .float(0.5)]),
    LoweringCase("gelu", "Gelu", [.floats([3, 37])]),
    LoweringCase("gelu by tanh", "Gelu", [.floats([3, 37])], ["approximate": .string("tanh")]),
    LoweringCase("swish", "Swish", [.floats([3, 37])]),
    LoweringCase("swish, alpha", "Swish", [.floats([3, 37])], ["alpha": .float(1.702)]),
    LoweringCase("mish", "Mish", [.floats([3, 37])]),
    LoweringCase("rotary", "RotaryEmbedding", [.floats([2, 3, 5, 8]), .floats([2, 5, 4]), .floats([2, 5, 4])]),
    LoweringCase(
      "rotary, by position", "RotaryEmbedding",
      [.floats([2, 3, 5, 8]), .floats([9, 4]), .floats([9, 4]), .positions([2, 5])]),
    LoweringCase("attention", "Attention", [.floats([2, 4, 5, 6]), .floats([2, 4, 7, 6]), .floats([2, 4, 7, 3])]),
    LoweringCase(
      "attention, shared keys", "Attention", [.floats([2, 6, 5, 4]), .floats([2, 2, 5, 4]), .floats([2, 2, 5, 4])],
      ["scale": .float(0.3)]),
    LoweringCase(
      "attention, mask", "Attention",
      [.floats([2, 4, 5, 6]), .floats([2, 4, 5, 6]), .floats([2, 4, 5, 6]), .truths([2, 1, 1, 5])]),
    LoweringCase(
      "attention, mask of each head", "Attention",
      [.floats([2, 4, 5, 6]), .floats([2, 2, 5, 6]), .floats([2, 2, 5, 6]), .truths([2, 4, 5, 5])]),
    LoweringCase(
      "attention, causal", "Attention", [.floats([2, 4, 5, 6]), .floats([2, 4, 5, 6]), .floats([2, 4, 5, 6])],
      ["is_causal": .integer(1)]),
    LoweringCase(
      "attention, causal, mask", "Attention",
      [.floats([2, 4, 5, 6]), .floats([2, 2, 5, 6]), .floats([2, 2, 5, 6]), .truths([2, 1, 1, 5])],
      ["is_causal": .integer(1)]),
    LoweringCase(
      "attention, added mask", "Attention",
      [.floats([2, 4, 5, 6]), .floats([2, 4, 5, 6]), .floats([2, 4, 5, 6]), .floats([2, 1, 5, 5])]),
    LoweringCase(
      "attention, causal, added mask", "Attention",
      [.floats([2, 4, 5, 6]), .floats([2, 4, 5, 6]), .floats([2, 4, 5, 6]), .floats([5, 5])],
      ["is_causal": .integer(1)]),
    LoweringCase(
      "attention, soft cap", "Attention", [.floats([1, 2, 5, 6]), .floats([1, 2, 5, 6]), .floats([1, 2, 5, 6])],
      ["softcap": .float(0.5)]),
    LoweringCase(
      "extents", "Shape", [.floats([2, 3, 4])], ["start": .integer(1), "end": .integer(-1)], isExact: true),
    LoweringCase("extents from", "Shape", [.floats([2, 3, 4])], ["start": .integer(-2)], isExact: true),
    LoweringCase(
      "equal parts", "Split", [.floats([2, 6])], ["axis": .integer(1), "num_outputs": .integer(2)], outputs: 2,
      isExact: true),
    LoweringCase(
      "unequal parts", "Split", [.floats([2, 7])], ["axis": .integer(1), "num_outputs": .integer(2)], outputs: 2,
      isExact: true),
    LoweringCase(
      "listed parts", "Split", [.floats([2, 7]), .constants([3, 4])], ["axis": .integer(-1)], outputs: 2, isExact: true),
    LoweringCase("squeeze", "Squeeze", [.floats([1, 3, 1]), .constants([2])], isExact: true),
    LoweringCase("unsqueeze", "Unsqueeze", [.floats([3, 4]), .constants([0, 3])], isExact: true),
    LoweringCase("largest", "ReduceMax", [.floats([3, 4]), .constants([1])], isExact: true),
    LoweringCase("largest of all", "ReduceMax", [.floats([3, 4])], ["keepdims": .integer(0)], isExact: true),
    LoweringCase("at most", "LessOrEqual", [.floats([3, 4]), .floats([4])], isExact: true),
    LoweringCase("at least", "GreaterOrEqual", [.floats([3, 4]), .floats([4])], isExact: true),
    LoweringCase("softmax", "Softmax", [.floats([3, 4])], ["axis": .integer(1)], isExact: true),
  ]

  func graph() throws -> Graph {
    var builder = GraphBuilder(name: testDescription)
    var operands: [ValueID?] = []
    for (slot, input) in inputs.enumerated() {
      if case .constants(let values) = input {
        operands.append(builder.integers(values))
      } else {
        operands.append(input.map { builder.input("x\(slot)", $0.valueType) })
      }
    }
    let results: [ValueID] = try builder.add(op, operands, attributes, outputs: outputs)
    for (slot, result) in results.enumerated() { builder.output("y\(slot)", result) }
    return builder.graph
  }

  func operands(seed: UInt64) -> [String: Tensor] {
    var random = RandomNumbers(seed: seed)
    var result: [String: Tensor] = [:]
    for (slot, input) in inputs.enumerated() { result["x\(slot)"] = input?.tensor(&random) }
    return result
  }
}

extension ReferenceTensor {
  /// A kind of random operand.
  enum Random: Sendable {
    case floats([Int])
    /// Truth values of which the first along the last axis is true, so that every query sees a key.
    case truths([Int])
    case positions([Int])
    case constants([Int])

    var valueType: ValueType {
      switch self {
      case .floats(let extents): ValueType(.f32, extents.map { Size($0) })
      case .truths(let extents): ValueType(.bool, extents.map { Size($0) })
      case .positions(let extents): ValueType(.i64, extents.map { Size($0) })
      case .constants(let values): ValueType(.i64, [Size(values.count)])
      }
    }

    func tensor(_ random: inout RandomNumbers) -> Tensor? {
      switch self {
      case .floats(let extents):
        return Tensor(floats: random.floats(extents.reduce(1, *), within: 2), extents: extents)
      case .truths(let extents):
        let row = extents.last ?? 1
        return Tensor(
          truths: (0..<extents.reduce(1, *)).map { $0 % row == 0 || Bool.random(using: &random) }, extents: extents)
      case .positions(let extents):
        let count = extents.reduce(1, *)
        return Tensor(integers: (0..<count).map { _ in Int64.random(in: 0..<9, using: &random) }, extents: extents)
      case .constants: return nil
      }
    }
  }
}

@Suite("Lowered graphs compute what the composite operators do")
struct LoweringResultTests {
  /// As a share of the largest result: composite kernels sum in 16 lanes and fuse multiplications into sums, single nodes round every step.
  static let tolerance = 2e-6
  static let operatorSets = [11, 13, 17, 18, 20, 23]

  @Test("one node, in every operator set", arguments: LoweringCase.all)
  func agrees(_ entry: LoweringCase) throws {
    let graph = try entry.graph()
    let seed: UInt64 = 11
    let operands = entry.operands(seed: seed)
    let expected = try GraphExecutor(graph, threads: oneThread).run(inputs: operands)
    for operatorSet in Self.operatorSets {
      let lowered = try graph.lowered(to: operatorSet)
      let results = try GraphExecutor(lowered, threads: oneThread).run(inputs: operands)
      for (name, wanted) in expected {
        let found = try #require(results[name])
        #expect(found.extents == wanted.extents, "operator set \(operatorSet), seed \(seed)")
        if entry.isExact {
          #expect(sameBits(found, wanted), "operator set \(operatorSet), seed \(seed)")
          continue
        }
        let scale = wanted.doubles().map(abs).max() ?? 0
        let gap = zip(found.doubles(), wanted.doubles()).map { abs($0 - $1) }.max() ?? 0
        #expect(gap <= Self.tolerance * scale, "operator set \(operatorSet), seed \(seed): \(gap) of \(scale)")
      }
    }
  }

  @Test("an encoder with padding, with batch and sequence of any size", arguments: operatorSets)
  func encoder(_ operatorSet: Int) throws {
    let sample = TransformerSample()
    let graph = try sample.build().graph
    let lowered = try graph.computingDerivedInputs(keeping: ["attention_mask"]).lowered(to: operatorSet)
    for (batch, sequence) in [(1, 1), (2, 11), (3, 8)] {
      let inputs = sample.inputs(batch: batch, sequence: sequence)
      let taps = Set(graph.taps.map(\.name))
      let expected = try GraphExecutor(graph, threads: oneThread).run(inputs: inputs, collecting: taps)
      let results = try GraphExecutor(lowered, threads: oneThread).run(inputs: inputs, collecting: taps)
      for (name, wanted) in expected {
        let gap = zip(try #require(results[name]).doubles(), wanted.doubles()).map { abs($0 - $1) }.max() ?? 0
        #expect(gap <= 1e-5, "\(name) \(batch) × \(sequence): \(gap)")
      }
    }
  }

  @Test("a query that sees no key gives the mean of the values, and no NaN")
  func blindQueries() throws {
    let entry = LoweringCase(
      "blind", "Attention",
      [.floats([1, 1, 2, 4]), .floats([1, 1, 2, 4]), .floats([1, 1, 2, 4]), .truths([1, 1, 1, 2])])
    var operands = entry.operands(seed: 3)
    operands["x3"] = Tensor(truths: [false, false], extents: [1, 1, 1, 2])
    let results = try GraphExecutor(entry.graph().lowered(to: 17), threads: oneThread).run(inputs: operands)
    let values = try #require(operands["x2"]).floats()
    for (index, found) in try #require(results["y0"]).floats().enumerated() {
      #expect(abs(found - (values[index % 4] + values[4 + index % 4]) / 2) < 1e-6)
    }
  }
}
