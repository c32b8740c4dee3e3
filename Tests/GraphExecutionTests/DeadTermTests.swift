import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

/// An operator whose operands have zeros at some positions of a summed axis, and the same without those positions.
struct DeadTermCase: Sendable, CustomTestStringConvertible {
  /// An operand, and whether it is a constant of the graph.
  struct Operand: Sendable {
    var weight: Weight
    var isConstant = false
  }

  var name: String
  var op: OperatorName
  /// The attributes for the number of positions that are there.
  var attributes: @Sendable (_ positions: Int) -> [String: Attribute]
  /// The number of positions before.
  var positions: Int
  /// Operands with all positions, those outside of `kept` being zero, or with the kept ones alone.
  var operands: @Sendable (_ numbers: inout RandomNumbers, _ kept: [Int], _ removed: Bool) -> [Operand]
  /// Whether positions go in whole blocks of this many.
  var unit = 1

  var testDescription: String { name }

  private static func matrix(_ numbers: inout RandomNumbers, _ extents: [Int]) -> Weight {
    .floats(numbers.floats(extents.reduce(1, *)), shape: Shape(extents))
  }

  /// A weight whose positions of an axis are zero, or gone.
  private static func cut(_ weight: Weight, axis: Int, _ kept: [Int], _ removed: Bool) -> Weight {
    let all = 0..<weight.shape[axis]
    return removed ? weight.keeping(kept, axis: axis) : weight.zeroing(all.filter { !kept.contains($0) }, axis: axis)
  }

  /// A weight of which positions are gone, or still there.
  private static func shortened(_ weight: Weight, axis: Int, _ kept: [Int], _ removed: Bool) -> Weight {
    removed ? weight.keeping(kept, axis: axis) : weight
  }

  /// Rows of random Q8_0 blocks.
  private static func blocks(_ numbers: inout RandomNumbers, rows: Int, columns: Int) -> Weight {
    var bytes: [UInt8] = []
    for _ in 0..<rows * columns / 32 {
      bytes += [UInt8(truncatingIfNeeded: numbers.next()), 0x20 | UInt8(truncatingIfNeeded: numbers.next() & 7)]
      for _ in 0..<32 { bytes.append(UInt8(truncatingIfNeeded: numbers.next())) }
    }
    return Weight.literal(bytes: bytes, type: .u8, shape: Shape([rows, columns / 32, 34])).dequantized(from: .q8_0)
  }

  private static func product(
    _ name: String, rows: Int, depth: Int, columns: Int, isConstant: Bool, op: OperatorName = OperatorName("MatMul"),
    _ attributes: [String: Attribute] = [:]
  ) -> DeadTermCase {
    DeadTermCase(name: name, op: op, attributes: { _ in attributes }, positions: depth) { numbers, kept, removed in
      let isTransposed = attributes["transB"] == .integer(1)
      let a = matrix(&numbers, [rows, depth])
      let b = matrix(&numbers, isTransposed ? [columns, depth] : [depth, columns])
      return [
        Operand(weight: shortened(a, axis: 1, kept, removed)),
        Operand(weight: cut(b, axis: isTransposed ? 1 : 0, kept, removed), isConstant: isConstant),
      ]
    }
  }

  private static func convolution(
    _ name: String, channels: Int, filters: Int, kernel: Int, isConstant: Bool, op: String = "Conv"
  ) -> DeadTermCase {
    DeadTermCase(
      name: name, op: OperatorName(op), attributes: { _ in ["pads": .integers([1, 0, 0, 1])] }, positions: channels
    ) { numbers, kept, removed in
      let x = matrix(&numbers, [2, channels, 7, 6])
      let isTransposed = op == "ConvTranspose"
      let weights = matrix(
        &numbers, isTransposed ? [channels, filters, kernel, kernel] : [filters, channels, kernel, kernel])
      let bias = matrix(&numbers, [filters])
      return [
        Operand(weight: shortened(x, axis: 1, kept, removed)),
        Operand(weight: cut(weights, axis: isTransposed ? 0 : 1, kept, removed), isConstant: isConstant),
        Operand(weight: bias, isConstant: isConstant),
      ]
    }
  }

  static let all: [DeadTermCase] = [
    product("MatMul with a constant", rows: 9, depth: 70, columns: 45, isConstant: true),
    product("MatMul with a constant, one row", rows: 1, depth: 530, columns: 37, isConstant: true),
    product("MatMul with a computed matrix", rows: 5, depth: 600, columns: 33, isConstant: false),
    product(
      "Gemm, transposed", rows: 14, depth: 90, columns: 70, isConstant: true, op: OperatorName("Gemm"),
      ["transB": .integer(1)]),
    product(
      "FusedMatMul", rows: 6, depth: 61, columns: 20, isConstant: true,
      op: OperatorName("FusedMatMul", domain: "com.microsoft"), ["transB": .integer(1), "alpha": .float(0.7)]),
    convolution("Conv, 1 by 1", channels: 19, filters: 35, kernel: 1, isConstant: true),
    convolution("Conv, 3 by 3", channels: 9, filters: 33, kernel: 3, isConstant: true),
    convolution("Conv with computed weights", channels: 6, filters: 5, kernel: 2, isConstant: false),
    convolution("ConvTranspose", channels: 7, filters: 4, kernel: 3, isConstant: true, op: "ConvTranspose"),
    DeadTermCase(
      name: "MatMul in batches", op: OperatorName("MatMul"), attributes: { _ in [:] }, positions: 40
    ) { numbers, kept, removed in
      let (a, b) = (matrix(&numbers, [2, 3, 5, 40]), matrix(&numbers, [3, 40, 8]))
      return [
        Operand(weight: shortened(a, axis: 3, kept, removed)), Operand(weight: cut(b, axis: 1, kept, removed)),
      ]
    },
    DeadTermCase(
      name: "Einsum", op: OperatorName("Einsum"), attributes: { _ in ["equation": .string("bsk,nk->bsn")] },
      positions: 50
    ) { numbers, kept, removed in
      let (a, b) = (matrix(&numbers, [2, 3, 50]), matrix(&numbers, [12, 50]))
      return [
        Operand(weight: shortened(a, axis: 2, kept, removed)), Operand(weight: cut(b, axis: 1, kept, removed)),
      ]
    },
    DeadTermCase(
      name: "MatMul with packed blocks, whole blocks dead", op: OperatorName("MatMul"), attributes: { _ in [:] },
      positions: 320,
      operands: { numbers, kept, removed in
        let (a, b) = (matrix(&numbers, [7, 320]), blocks(&numbers, rows: 40, columns: 320))
        return [
          Operand(weight: shortened(a, axis: 1, kept, removed)),
          Operand(weight: cut(b, axis: 1, kept, removed).transposed(), isConstant: true),
        ]
      }, unit: 32),
    DeadTermCase(
      name: "MatMul with packed blocks, single positions dead", op: OperatorName("MatMul"), attributes: { _ in [:] },
      positions: 160
    ) { numbers, kept, removed in
      let (a, b) = (matrix(&numbers, [3, 160]), blocks(&numbers, rows: 33, columns: 160))
      return [
        Operand(weight: shortened(a, axis: 1, kept, removed)),
        Operand(weight: cut(b, axis: 1, kept, removed).transposed(), isConstant: true),
      ]
    },
    DeadTermCase(
      name: "Attention, positions of the values' heads", op: OperatorName("Attention"), attributes: { _ in [:] },
      positions: 24
    ) { numbers, kept, removed in
      // Scores are sums over the size of a head: zero keys there leave no trace, nor do the queries they met.
      let (q, k, v) = (
        matrix(&numbers, [2, 3, 50, 24]), matrix(&numbers, [2, 3, 50, 24]), matrix(&numbers, [2, 3, 50, 9])
      )
      return [
        Operand(weight: shortened(q, axis: 3, kept, removed)), Operand(weight: cut(k, axis: 3, kept, removed)),
        Operand(weight: v),
      ]
    },
  ]
}

@Suite("Terms that are zero, of every operator that sums")
struct DeadTermTests {
  private func run(
    _ test: DeadTermCase, _ operands: [DeadTermCase.Operand], positions: Int, _ precision: ComputingPrecision
  ) throws -> Tensor? {
    var graph = Graph(name: test.name)
    var inputs: [ValueID?] = []
    var given: [String: Tensor] = [:]
    for (slot, operand) in operands.enumerated() {
      let type = ValueType(.f32, operand.weight.shape.extents.map { Size($0) })
      if operand.isConstant {
        inputs.append(graph.addValue(Value(name: "x\(slot)", type: type, initializer: operand.weight)))
      } else {
        let id = graph.addValue(Value(name: "x\(slot)", type: type))
        graph.addInput(id)
        given["x\(slot)"] = try Tensor(reading: operand.weight)
        inputs.append(id)
      }
    }
    let output = graph.addValue(Value(name: "y"))
    var attributes = test.attributes(positions)
    if test.op == OperatorName("Attention") { attributes["scale"] = .float(0.3) }
    graph.append(Node(test.op, name: "node", inputs: inputs, outputs: [output], attributes: attributes))
    graph.addOutput(output)
    return try GraphExecutor(graph, threads: twoThreads, precision: precision).run(inputs: given)["y"]
  }

  @Test(
    "leave no trace: without them the bits are the same", arguments: DeadTermCase.all,
    [ComputingPrecision.declared, .double])
  func leaveNoTrace(_ test: DeadTermCase, _ precision: ComputingPrecision) throws {
    for seed in UInt64(1)...6 {
      var chooser = RandomNumbers(seed: seed)
      let units = (0..<test.positions / test.unit).filter { _ in chooser.next() % 3 != 0 }
      let kept = (units.isEmpty ? [0] : units).flatMap { $0 * test.unit..<($0 + 1) * test.unit }
      var (first, second) = (RandomNumbers(seed: seed &+ 100), RandomNumbers(seed: seed &+ 100))
      let whole = try run(test, test.operands(&first, kept, false), positions: test.positions, precision)
      let fewer = try run(test, test.operands(&second, kept, true), positions: kept.count, precision)
      // A sum that is zero may have either sign.
      let (a, b) = (try #require(whole), try #require(fewer))
      #expect(a.extents == b.extents)
      #expect(a.doubles() == b.doubles(), "seed \(seed)")
      #expect(a.doubles().contains { $0 != 0 })
    }
  }
}
