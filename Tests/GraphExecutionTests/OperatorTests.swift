import Foundation
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Operators")
struct OperatorTests {
  @Test("An operator agrees with the reference evaluator of the onnx package", arguments: referenceCases)
  func agreesWithReference(_ reference: ReferenceCase) throws {
    let executor = try GraphExecutor(reference.graph(), threads: twoThreads)
    let found = try executor.run(inputs: reference.operands)
    for (slot, expected) in reference.outputs.enumerated() {
      let result = try #require(found["y\(slot)"])
      #expect(result.extents == expected.extents)
      #expect(result.type == expected.type)
      let wanted = expected.tensor.doubles()
      let scale = max(1, wanted.lazy.filter(\.isFinite).map(abs).max() ?? 1)
      for (index, (x, y)) in zip(result.doubles(), wanted).enumerated() {
        let agrees = x == y || (x.isNaN && y.isNaN) || abs(x - y) <= reference.tolerance * scale
        #expect(agrees, "element \(index): \(x), expected \(y)")
      }
    }
  }

  @Test("Constant operands give the bits of operands given as inputs", arguments: referenceCases)
  func constantsGiveTheSame(_ reference: ReferenceCase) throws {
    var builder = GraphBuilder(name: reference.name)
    var operands: [ValueID?] = []
    for (slot, input) in reference.inputs.enumerated() {
      guard let input else {
        operands.append(nil)
        continue
      }
      if slot == 0 {
        operands.append(builder.input("x0", ValueType(input.type, input.extents.map { Size($0) })))
      } else {
        operands.append(builder.initializer("x\(slot)", weight(input)))
      }
    }
    let results: [ValueID] = try builder.add(
      reference.op, operands, reference.attributes, outputs: reference.outputs.count)
    for (slot, result) in results.enumerated() { builder.output("y\(slot)", result) }
    let first = try #require(reference.inputs.first ?? nil)
    let found = try GraphExecutor(builder.graph, threads: oneThread).run(inputs: ["x0": first.tensor])
    let expected = try GraphExecutor(reference.graph(), threads: oneThread).run(inputs: reference.operands)
    for slot in reference.outputs.indices { #expect(sameBits(found["y\(slot)"], expected["y\(slot)"])) }
  }

  private func weight(_ reference: ReferenceTensor) -> Weight {
    let shape = Shape(reference.extents)
    switch reference.type {
    case .f32: return .floats(reference.tensor.floats(), shape: shape)
    case .i64: return .integers(reference.tensor.integers(), shape: shape)
    case .bool: return .literal(bytes: reference.tensor.integers().map { UInt8($0) }, type: .bool, shape: shape)
    default: return Weight.integers(reference.tensor.integers(), shape: shape).cast(to: reference.type)
    }
  }

  /// Described, so that dimensions can be followed through them, but not evaluated: results are random.
  private static let notEvaluated =
    ["Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"].map { OperatorName($0) }
  /// Tested by hand-derived numbers in other suites.
  private static let handDerived = [
    "SwiGLU", "GlobalLpPool", "com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear",
    "com.microsoft.TransposeMatMul", "com.microsoft.RelativePositionBias",
  ]

  @Test("Every operator of the registry can be evaluated, a few apart")
  func everyOperatorHasAnEvaluator() {
    for op in OperatorRegistry.all {
      #expect(EvaluatorTable.knows(op.name) != Self.notEvaluated.contains(op.name), "\(op.name)")
    }
    #expect(!EvaluatorTable.knows(OperatorName("NobodyKnowsThis")))
    #expect(!EvaluatorTable.knows(OperatorName("Add", domain: "com.microsoft")))
  }

  @Test("Every operator that can be evaluated has a reference case, or passes tests of other programs")
  func everyOperatorHasAReference() throws {
    let list = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../formats/onnx-backend-tests.md").standardizedFileURL
    let lines = try String(contentsOf: list, encoding: .utf8).split(separator: "\n")
    let passing = Set(lines.filter { $0.hasPrefix("- `") }.compactMap { $0.split(separator: "`").dropFirst().first })
    let covered = Set(referenceCases.map(\.op) + Self.handDerived)
    let cases = list.deletingLastPathComponent().deletingLastPathComponent().appending(path: "Tests/BackendTests/Cases")
    let files = try [cases, cases.deletingLastPathComponent().appending(path: "ControlCases")].flatMap {
      try FileManager.default.contentsOfDirectory(at: $0, includingPropertiesForKeys: nil)
    }
    let models = try files.map { try Data(contentsOf: $0) }
    for op in OperatorRegistry.all where EvaluatorTable.knows(op.name) {
      // A node's operator is field 4 of its message, a string with its length before it.
      let field = Data([0x22, UInt8(op.name.name.utf8.count)] + Array(op.name.name.utf8))
      let isInCase = models.contains { $0.range(of: field) != nil }
      #expect(covered.contains("\(op.name)") || passing.contains("\(op.name)") || isInCase, "\(op.name)")
    }
  }

  @Test("A query that may see no key gives zeros", arguments: [true, false])
  func maskedRowsAreZero(byTruth: Bool) throws {
    var builder = GraphBuilder(name: "attention")
    let operand = ValueType(.f32, [1, 2, 3, 4])
    let inputs = ["q", "k", "v"].map { builder.input($0, operand) }
    let mask = builder.input("mask", ValueType(byTruth ? .bool : .f32, [3, 3]))
    builder.output("y", try builder.add("Attention", inputs + [mask]))
    var random = RandomNumbers(seed: 3)
    var given: [String: Tensor] = [:]
    for name in ["q", "k", "v"] { given[name] = Tensor(floats: random.floats(24), extents: [1, 2, 3, 4]) }
    let allowed = [true, true, false, false, false, false, true, false, false]
    given["mask"] =
      byTruth
      ? Tensor(truths: allowed, extents: [3, 3])
      : Tensor(floats: allowed.map { $0 ? 0 : -.infinity }, extents: [3, 3])
    let y = try #require(try GraphExecutor(builder.graph, threads: oneThread).run(inputs: given)["y"]).floats()
    for head in 0..<2 {
      #expect(y[(head * 3 + 1) * 4..<(head * 3 + 2) * 4].allSatisfy { $0 == 0 })
      #expect(y[head * 12..<head * 12 + 4].contains { $0 != 0 })
      // The last query sees the first key only, so it takes over its value.
      let value = try #require(given["v"]).floats()
      #expect(Array(y[(head * 3 + 2) * 4..<(head * 3 + 3) * 4]) == Array(value[head * 12..<head * 12 + 4]))
    }
  }
}
