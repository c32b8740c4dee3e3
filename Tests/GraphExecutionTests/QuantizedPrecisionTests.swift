import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Quantised operators in double precision")
struct QuantizedPrecisionTests {
  private func evaluate(
    _ op: String, _ operands: [Tensor?], domain: String = "", results: Int = 1
  ) throws -> [Tensor] {
    var graph = Graph(name: op)
    var inputs: [String: Tensor] = [:]
    var ids: [ValueID?] = []
    for (slot, tensor) in operands.enumerated() {
      guard let tensor else {
        ids.append(nil)
        continue
      }
      let id = graph.addValue(Value(name: "x\(slot)", type: ValueType(tensor.type, nil)))
      graph.addInput(id)
      ids.append(id)
      inputs["x\(slot)"] = tensor
    }
    let names = (0..<results).map { "y\($0)" }
    let outputs = names.map { graph.addValue(Value(name: $0)) }
    graph.append(Node(OperatorName(op, domain: domain), name: op, inputs: ids, outputs: outputs))
    for id in outputs { graph.addOutput(id) }
    let found = try GraphExecutor(graph, threads: oneThread, precision: .double).run(inputs: inputs)
    return try names.map { try #require(found[$0]) }
  }

  private func bytes(_ values: [UInt8], _ extents: [Int]) throws -> Tensor {
    try #require(Tensor(bytes: values, type: .u8, extents: extents))
  }

  @Test("the scale of a range is not rounded to single precision")
  func range() throws {
    let values: [Float] = [0.1, 0.7, -1.3, 2.2]
    let found = try evaluate("DynamicQuantizeLinear", [Tensor(floats: values, extents: [4])], results: 3)
    #expect(found[1].type == .f64)
    #expect(found[1].doubles() == [(Double(Float(2.2)) - Double(Float(-1.3))) / 255])
    #expect(found[2].integers() == [95])
  }

  @Test("a quotient just below a half goes down, where in single precision it is the half")
  func quotient() throws {
    // 0.699999988 / 0.200000003 = 3.49999989, which single precision rounds to 3.5.
    let operands = [Tensor(floats: [0.7], extents: [1]), Tensor(floats: [0.2], extents: []), try bytes([0], [])]
    #expect(Float(0.7) / Float(0.2) == 3.5)
    #expect(try evaluate("QuantizeLinear", operands)[0].integers() == [3])
    #expect(try evaluate("QuantizeLinear", operands, domain: "com.microsoft")[0].integers() == [3])
  }

  @Test("sums are scaled by the product of both scales as doubles")
  func product() throws {
    let (a, b) = (Float(0.1), Float(0.3))
    let found = try evaluate(
      "MatMulIntegerToFloat",
      [
        try bytes([7], [1, 1]), try bytes([3], [1, 1]), Tensor(floats: [a], extents: []),
        Tensor(floats: [b], extents: []),
      ],
      domain: "com.microsoft")
    #expect(found[0].doubles() == [21 * (Double(a) * Double(b))])
  }

  @Test("the sum of quantised tensors is quantised from doubles")
  func sum() throws {
    // 5 · 0.699999988 / 0.200000003 = 17.4999994, which single precision rounds to 17.5.
    let (a, c) = (Float(0.7), Float(0.2))
    #expect(5 * a / c == 17.5)
    let zero = try bytes([0], [])
    let found = try evaluate(
      "QLinearAdd",
      [
        try bytes([5], [1]), Tensor(floats: [a], extents: []), zero, try bytes([0], [1]),
        Tensor(floats: [a], extents: []), zero, Tensor(floats: [c], extents: []), zero,
      ], domain: "com.microsoft")
    #expect(found[0].integers() == [17])
  }
}
