import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage
import Testing

@Suite("Element types")
struct ElementTypeTests {
  /// One node on constants of the given types, and what it gives.
  private func evaluate(
    _ op: String, _ attributes: [String: Attribute], _ operands: [(ElementType, [Int], [UInt8])],
    precision: ComputingPrecision = .rounded, version: Int = Node.currentVersion
  ) throws -> Tensor {
    let vendor = "com.microsoft."
    var graph = Graph(name: op)
    var inputs: [String: Tensor] = [:]
    var ids: [ValueID?] = []
    for (slot, (type, extents, bytes)) in operands.enumerated() {
      let id = graph.addValue(Value(name: "x\(slot)", type: ValueType(type, nil)))
      graph.addInput(id)
      ids.append(id)
      inputs["x\(slot)"] = Tensor(bytes: bytes, type: type, extents: extents, precision: precision)
    }
    let result = graph.addValue(Value(name: "y"))
    graph.append(
      Node(
        op.hasPrefix(vendor)
          ? OperatorName(String(op.dropFirst(vendor.count)), domain: "com.microsoft") : OperatorName(op),
        name: op, inputs: ids, outputs: [result], attributes: attributes, version: version))
    graph.addOutput(result)
    let executor = try GraphExecutor(graph, threads: oneThread, precision: precision)
    return try #require(try executor.run(inputs: inputs)["y"])
  }

  private func evaluate(
    _ op: String, _ operands: [(ElementType, [Int], [UInt8])], precision: ComputingPrecision = .rounded,
    version: Int = Node.currentVersion
  ) throws -> Tensor {
    try evaluate(op, [:], operands, precision: precision, version: version)
  }

  private func halves(_ values: [Float16]) -> [UInt8] {
    values.flatMap { value in [UInt8(truncatingIfNeeded: value.bitPattern), UInt8(value.bitPattern >> 8)] }
  }

  @Test("Half floats are rounded after every operator, and not where single precision is asked for")
  func halfFloats() throws {
    let operands: [(ElementType, [Int], [UInt8])] = [(.f16, [2], halves([2048, 3])), (.f16, [], halves([1]))]
    let rounded = try evaluate("Add", operands)
    #expect(rounded.declaredType == .f16)
    #expect(rounded.floats() == [2048, 4])
    let exact = try evaluate("Add", operands, precision: .declared)
    #expect(exact.declaredType == .f32)
    #expect(exact.floats() == [2049, 4])
  }

  @Test("Integers of every width wrap around", arguments: [ElementType.i8, .u8, .i16, .u16, .i32, .u32, .i64, .u64])
  func integersWrap(type: ElementType) throws {
    let size = type.bitCount / 8
    let ones = [UInt8](repeating: 0xFF, count: size)
    let two: [UInt8] = [2] + [UInt8](repeating: 0, count: size - 1)
    let sum = try evaluate("Add", [(type, [1], ones), (type, [1], two)])
    #expect(sum.type == type)
    #expect(sum.integers() == [1])
    let signed = [ElementType.i8, .i16, .i32, .i64].contains(type)
    let isLess = try evaluate("Less", [(type, [1], ones), (type, [1], two)])
    #expect(isLess.truths() == [signed])
    let largest = try evaluate("ReduceMax", [(type, [2], ones + two)])
    #expect(largest.integers() == [signed ? 2 : type == .u64 ? -1 : 1 << type.bitCount - 1])
  }

  @Test("Integers of less than a byte are unpacked, lowest bits first")
  func packedIntegers() throws {
    let bytes: [UInt8] = [0x8F, 0x07]
    #expect(try evaluate("Cast", ["to": .integer(7)], [(.i4, [3], bytes)]).integers() == [-1, -8, 7])
    #expect(try evaluate("Cast", ["to": .integer(7)], [(.u4, [3], bytes)]).integers() == [15, 8, 7])
    #expect(try evaluate("Cast", ["to": .integer(7)], [(.i2, [5], bytes)]).integers() == [-1, -1, 0, -2, -1])
    #expect(try evaluate("Cast", ["to": .integer(7)], [(.u2, [5], bytes)]).integers() == [3, 3, 0, 2, 3])
    let copy = try evaluate("Transpose", [(.i4, [3], bytes)])
    #expect(copy.declaredType == .i4)
  }

  @Test("Constants of 4 bits are read as inputs of 4 bits are")
  func packedConstants() throws {
    let weight = Weight.literal(bytes: [0x8F, 0x17], type: .i4, shape: [2, 2])
    #expect(try Tensor(reading: weight).integers() == [-1, -8, 7, 1])
    let floats = Weight.literal(bytes: [0x7F, 0x10], type: .f4, shape: [2, 2])
    // Codes 15, 7, 0 and 1 of e2m1: -6, 6, 0 and the least subnormal, 0.5.
    #expect(try Tensor(reading: floats).floats() == [-6, 6, 0, 0.5])
  }

  @Test(
    "Casts to 8-bit floats round to even and are held in range, or overflow where that is asked for",
    arguments: [
      (17, true, [448, 448, -448, 1.125, 0]), (17, false, [.nan, .nan, .nan, 1.125, 0]),
      (19, true, [448, 57344, -57344, 1, 0.0009765625]), (19, false, [448, .infinity, -.infinity, 1, 0.0009765625]),
      (18, true, [240, 240, -240, 1.125, 0.0009765625]),
    ] as [(Int, Bool, [Float])])
  func narrowFloats(target: Int, saturates: Bool, expected: [Float]) throws {
    let values: [Float] = [470, 1e6, -.infinity, 1.0625 + 0.03125, 0.0009765625]
    let bytes = values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) }
    }
    let found = try evaluate(
      "Cast", ["to": .integer(target), "saturate": .integer(saturates ? 1 : 0)], [(.f32, [5], bytes)]
    ).floats()
    for (x, y) in zip(found, expected) { #expect(x == y || x.isNaN && y.isNaN, "\(found)") }
  }

  private func singles(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) } }
  }

  @Test("Operators without cases of other programs give what their formula says")
  func handDerived() throws {
    let gated = try evaluate("SwiGLU", [(.f32, [3], singles([0, 1, -2])), (.f32, [3], singles([5, 2, 3]))]).floats()
    for (x, y) in zip(gated, [0, 1.4621172, -0.7152175] as [Float]) { #expect(abs(x - y) < 1e-6) }
    let pooled = try evaluate("GlobalLpPool", [(.f32, [1, 1, 2, 2], singles([3, 4, 0, 0]))])
    #expect(pooled.floats() == [5])
    let scale: (ElementType, [Int], [UInt8]) = (.f32, [], singles([2]))
    let quantized = try evaluate(
      "com.microsoft.QuantizeLinear", [(.f32, [4], singles([0, 2, 3, 1000])), scale, (.u8, [], [128])])
    #expect(quantized.integers() == [128, 129, 130, 255])
    let restored = try evaluate(
      "com.microsoft.DequantizeLinear", [(.u8, [4], [128, 129, 130, 255]), scale, (.u8, [], [128])])
    #expect(restored.floats() == [0, 2, 4, 254])
    let product = try evaluate(
      "com.microsoft.TransposeMatMul", ["transB": .integer(1)],
      [(.f32, [1, 2], singles([1, 2])), (.f32, [1, 2], singles([3, 4]))])
    #expect(product.floats() == [11])
    // Four buckets, none for later keys: distances 0 and 1 are exact, 2 is the first of the logarithmic ones.
    let three: (ElementType, [Int], [UInt8]) = (.i64, [1], [3, 0, 0, 0, 0, 0, 0, 0])
    let bias = try evaluate(
      "com.microsoft.RelativePositionBias", ["max_distance": .integer(8), "is_bidirectional": .integer(0)],
      [(.f32, [4, 1], singles([10, 20, 30, 40])), three, three])
    #expect(bias.floats() == [10, 10, 10, 20, 10, 10, 30, 20, 10])
  }

  @Test("Softmax before version 13 normalises over all axes from its axis on")
  func coercingSoftmax() throws {
    let zeros = [UInt8](repeating: 0, count: 32)
    let old = try evaluate("Softmax", [(.f32, [1, 2, 4], zeros)], version: 12)
    #expect(old.floats() == Array(repeating: 0.125, count: 8))
    let new = try evaluate("Softmax", [(.f32, [1, 2, 4], zeros)], version: 13)
    #expect(new.floats() == Array(repeating: 0.25, count: 8))
  }

  @Test("A reduction takes its axes from the attribute before version 18, and from the operand after")
  func reductionAxes() throws {
    let values: [Float] = [1, 2, 3, 4]
    let bytes = values.flatMap { value in
      (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) }
    }
    let axes: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0]
    let old = try evaluate("ReduceMean", ["axes": .integers([1]), "keepdims": .integer(0)], [(.f32, [2, 2], bytes)])
    #expect(old.floats() == [1.5, 3.5])
    let new = try evaluate("ReduceMean", ["keepdims": .integer(0)], [(.f32, [2, 2], bytes), (.i64, [1], axes)])
    #expect(new.floats() == [1.5, 3.5])
    let noop = try evaluate("ReduceSumSquare", ["noop_with_empty_axes": .integer(1)], [(.f32, [2, 2], bytes)])
    #expect(noop.floats() == [1, 4, 9, 16])
  }

  @Test("Operators refuse element types they are not defined for, without a trap", arguments: ElementType.allCases)
  func refusesWithoutTrap(type: ElementType) throws {
    let bytes = [UInt8](repeating: 1, count: 64)
    for precision in [ComputingPrecision.declared, .rounded, .double] {
      guard Tensor(bytes: bytes, type: type, extents: [2, 2], precision: precision) != nil else { continue }
      for op in [
        "Add", "Mod", "BitShift", "And", "Exp", "Not", "IsNaN", "ReduceLogSumExp", "CumSum", "ArgMax", "NonZero",
        "Softmax", "LogSoftmax", "Clip", "Where", "Trilu", "QuantizeLinear", "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger", "QLinearMatMul", "EyeLike", "OneHot", "Range", "TopK", "Size", "Dropout", "Cast", "CastLike",
        "BitCast", "Concat", "Transpose", "MatMul", "LayerNormalization", "If", "ConstantOfShape", "Gather",
      ] {
        for count in 1...3 {
          _ = try? evaluate(
            op, ["to": .integer(10)], Array(repeating: (type, [2, 2], bytes), count: count), precision: precision)
        }
      }
    }
  }
}
