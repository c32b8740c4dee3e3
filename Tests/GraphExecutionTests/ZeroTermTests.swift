import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// What compaction relies on: terms that are exactly zero leave no trace in any sum, and heads and filters none in one another.
@Suite("Zero terms")
struct ZeroTermTests {
  private func run(
    _ op: OperatorName, _ operands: [Tensor?], _ attributes: [String: Attribute] = [:], constant: Set<Int> = []
  ) throws -> Tensor {
    var graph = Graph(name: op.name)
    var inputs: [ValueID?] = []
    var given: [String: Tensor] = [:]
    for (slot, operand) in operands.enumerated() {
      guard let operand else {
        inputs.append(nil)
        continue
      }
      let type = ValueType(operand.type, operand.extents.map { Size($0) })
      if constant.contains(slot) {
        let weight = Weight.floats(operand.floats(), shape: Shape(operand.extents))
        inputs.append(graph.addValue(Value(name: "x\(slot)", type: type, initializer: weight)))
        continue
      }
      let id = graph.addValue(Value(name: "x\(slot)", type: type))
      graph.addInput(id)
      given["x\(slot)"] = operand
      inputs.append(id)
    }
    let output = graph.addValue(Value(name: "y"))
    graph.append(Node(op, name: "node", inputs: inputs, outputs: [output], attributes: attributes))
    graph.addOutput(output)
    return try #require(try GraphExecutor(graph, threads: twoThreads).run(inputs: given)["y"])
  }

  private func random(_ extents: [Int], seed: UInt64) -> Tensor {
    var numbers = RandomNumbers(seed: seed)
    return Tensor(floats: numbers.floats(extents.reduce(1, *)), extents: extents)
  }

  /// The tensor with zeros in place of what is not at some positions of an axis.
  private func masked(_ x: Tensor, axis: Int, kept: [Int]) -> Tensor {
    let inner = x.extents[(axis + 1)...].reduce(1, *)
    let values = x.floats().enumerated().map { index, value in
      kept.contains(index / inner % x.extents[axis]) ? value : 0
    }
    return Tensor(floats: values, extents: x.extents)
  }

  @Test("Convolution: zero input channels, and filters that are left out", arguments: [[3, 3], [1, 1]], [1, 2])
  func convolution(kernel: [Int], stride: Int) throws {
    let conv = OperatorName("Conv")
    let kept = [0, 2, 4, 5]
    let (x, bias) = (random([2, 7, 9, 8], seed: 1), random([37], seed: 2))
    let weights = masked(random([37, 7] + kernel, seed: 3), axis: 1, kept: kept)
    let attributes: [String: Attribute] = [
      "strides": .integers([stride, stride]), "pads": .integers(kernel == [1, 1] ? [0, 0, 0, 0] : [1, 1, 1, 1]),
    ]
    let whole = try run(conv, [x, weights, bias], attributes)
    let fewer = try run(
      conv, [x.selecting(kept, axis: 1), weights.selecting(kept, axis: 1), bias], attributes, constant: [1, 2])
    #expect(sameBits(whole, fewer))
    let filters = [1, 5, 6, 33, 36]
    let some = try run(
      conv, [x, weights.selecting(filters, axis: 0), bias.selecting(filters, axis: 0)], attributes)
    #expect(sameBits(whole.selecting(filters, axis: 1), some))
  }

  @Test("Depthwise convolution: channels that are left out")
  func depthwise() throws {
    let conv = OperatorName("Conv")
    let (x, weights) = (random([1, 6, 5, 5], seed: 4), random([6, 1, 3, 3], seed: 5))
    let whole = try run(conv, [x, weights], ["group": .integer(6)])
    let kept = [0, 3, 5]
    let some = try run(
      conv, [x.selecting(kept, axis: 1), weights.selecting(kept, axis: 0)], ["group": .integer(3)])
    #expect(sameBits(whole.selecting(kept, axis: 1), some))
  }

  @Test("Gemm: zero rows of B, as constants and as inputs", arguments: [true, false], [Float(1), 0.3])
  func gemm(transposed: Bool, alpha: Float) throws {
    let gemm = OperatorName("Gemm")
    let kept = [0, 1, 7, 8, 20]
    let (a, c) = (random([5, 21], seed: 6), random([40], seed: 7))
    let axis = transposed ? 1 : 0
    let b = masked(random(transposed ? [40, 21] : [21, 40], seed: 8), axis: axis, kept: kept)
    let attributes: [String: Attribute] = [
      "transB": .integer(transposed ? 1 : 0), "alpha": .float(alpha), "beta": .float(alpha),
    ]
    let whole = try run(gemm, [a, b, c], attributes)
    #expect(try sameBits(whole, run(gemm, [a, b, c], attributes, constant: [1, 2])))
    let fewer = try run(
      gemm, [a.selecting(kept, axis: 1), b.selecting(kept, axis: axis), c], attributes, constant: [1])
    #expect(sameBits(whole, fewer))
  }

  @Test("Einsum: zero positions of a label that is summed", arguments: ["bshd,nhd->bsn", "bshd,nhd->nbs"])
  func einsum(equation: String) throws {
    let einsum = OperatorName("Einsum")
    let kept = [0, 2, 3]
    let x = random([2, 3, 5, 4], seed: 9)
    let y = masked(random([6, 5, 4], seed: 10), axis: 1, kept: kept)
    let attributes: [String: Attribute] = ["equation": .string(equation)]
    let whole = try run(einsum, [x, y], attributes)
    let fewer = try run(einsum, [x.selecting(kept, axis: 2), y.selecting(kept, axis: 1)], attributes)
    #expect(sameBits(whole, fewer))
  }

  @Test("Attention of com.microsoft: heads that are left out change no other head")
  func heads() throws {
    let attention = OperatorName("Attention", domain: "com.microsoft")
    let (heads, size, width) = (5, 8, 24)
    let (x, weights, bias) = (
      random([2, 6, width], seed: 11), random([width, 3 * heads * size], seed: 12), random([3 * heads * size], seed: 13)
    )
    func columns(_ kept: [Int], parts: Int) -> [Int] {
      (0..<parts).flatMap { part in
        kept.flatMap { head in (0..<size).map { (part * heads + head) * size + $0 } }
      }
    }
    let whole = try run(attention, [x, weights, bias], ["num_heads": .integer(heads), "unidirectional": .integer(1)])
    let kept = [1, 4]
    let chosen = columns(kept, parts: 3)
    let some = try run(
      attention, [x, weights.selecting(chosen, axis: 1), bias.selecting(chosen, axis: 0)],
      ["num_heads": .integer(2), "unidirectional": .integer(1)])
    #expect(sameBits(whole.selecting(columns(kept, parts: 1), axis: 2), some))
  }
}
