import ModelGraph
import PollardBase
import TensorStorage

// Operators of the domain com.microsoft on quantised tensors: each dequantises its operands, computes, and quantises the result.
// Source: ONNX Runtime, ContribOperators.md.

extension EvaluationContext {
  /// A quantised operand with its scale and zero point, as real numbers in the precision of the run.
  fileprivate func real(_ slot: Int, scale: Int, zero: Int) throws -> Tensor {
    try converted(
      dequantized(tensor(slot), scale: tensor(scale), zero: optionalTensor(zero), self),
      to: memory.floatType, self)
  }

  /// A result quantised by a scale and a zero point; unsigned bytes where there is none.
  fileprivate func quantize(_ x: Tensor, scale: Int, zero: Int) throws -> Tensor {
    let zero = try optionalTensor(zero)
    return try quantized(x, scale: tensor(scale), zero: zero, to: zero?.declaredType ?? .u8, self)
  }

  /// The same node under another name, with one operand.
  fileprivate func applying(_ name: String, to operands: [Tensor]) -> EvaluationContext {
    var changed = node
    changed.op = OperatorName(name)
    return EvaluationContext(
      node: changed, operands: operands.map { .tensor($0) }, graph: graph, memory: memory, matrices: matrices)
  }

  /// A tensor whose channels are innermost with them after the batch, or back.
  fileprivate func channelsMoved(_ x: Tensor, back: Bool) -> Tensor {
    guard node.integer("channels_last", default: 0) != 0, x.rank > 2 else { return x }
    let spatial = Array(1..<(x.rank - 1))
    return x.transposed(back ? [0] + spatial.map { $0 + 1 } + [1] : [0, x.rank - 1] + spatial)
  }
}

private func evaluateQuantizedPair(_ context: EvaluationContext) throws -> Tensor {
  let (a, b) = (try context.real(0, scale: 1, zero: 2), try context.real(3, scale: 4, zero: 5))
  let result = try combine(a, b, context.node.op.name == "QLinearAdd" ? "Add" : "Mul", context)
  return try context.quantize(result, scale: 6, zero: 7)
}

private func evaluateQuantizedFunction(_ name: String, _ context: EvaluationContext) throws -> Tensor {
  let x = try context.channelsMoved(context.real(0, scale: 1, zero: 2), back: false)
  let inner = context.applying(name, to: [x])
  let result: Tensor
  switch name {
  case "AveragePool": result = try evaluatePooling(inner)
  case "GlobalAveragePool": result = try evaluateGlobalPooling(inner)
  case "Softmax":
    var node = inner.node
    node.version = context.node.integer("opset", default: 13)
    result = try evaluateSoftmax(
      EvaluationContext(
        node: node, operands: inner.operands, graph: inner.graph, memory: inner.memory, matrices: inner.matrices))
  default: result = try evaluateUnary(inner)
  }
  return try context.quantize(context.channelsMoved(result, back: true), scale: 3, zero: 4)
}

private func evaluateQuantizedConcat(_ context: EvaluationContext) throws -> Tensor {
  let count = (context.operands.count - 2) / 3
  guard count > 0 else { throw context.failure(.illFormed, expected: "tensors to join", found: "none") }
  let parts = try (0..<count).map { try context.real(2 + 3 * $0, scale: 3 + 3 * $0, zero: 4 + 3 * $0) }
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: parts[0].rank)
  return try context.quantize(concatenated(parts, axis: axis, context), scale: 0, zero: 1)
}

private func evaluateQuantizedWhere(_ context: EvaluationContext) throws -> Tensor {
  let (a, b) = (try context.real(1, scale: 2, zero: 3), try context.real(4, scale: 5, zero: 6))
  return try context.quantize(choose(context.tensor(0), a, b, context), scale: 7, zero: 8)
}

/// A matrix product of bytes with a bias of 32-bit integers in the scale of the product.
private func evaluateQuantizedGemm(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  func matrix(_ slot: Int, _ flag: String) throws -> Tensor {
    let x = try context.tensor(slot)
    guard x.rank == 2 else { throw context.failure(expected: "a matrix", found: "\(x.extents)") }
    let wide = try converted(x, to: .f64, context)
    let centred = try context.optionalTensor(slot + 2)
      .map { try combine(wide, converted($0, to: .f64, context), "Sub", context) }
    return node.integer(flag, default: 0) != 0 ? (centred ?? wide).transposed([1, 0]) : centred ?? wide
  }
  let transposesRight = node.integer("transB", default: 0) != 0
  var right = try converted(context.tensor(3), to: .f64, context)
  guard right.rank == 2 else { throw context.failure(expected: "a matrix", found: "\(right.extents)") }
  if transposesRight { right = right.transposed([1, 0]) }
  if let zero = try context.optionalTensor(5) {
    right = try combine(right, converted(zero, to: .f64, context), "Sub", context)
  }
  var sums = try tensorProduct(matrix(0, "transA"), right, context)
  if let bias = try context.optionalTensor(6) {
    sums = try combine(sums, converted(bias, to: .f64, context), "Add", context)
  }
  for slot in [1, 4] { sums = try combine(sums, converted(context.tensor(slot), to: .f64, context), "Mul", context) }
  let alpha = Tensor(doubles: [Double(node.float("alpha") ?? 1)], extents: [])
  let real = try combine(sums, alpha, "Mul", context)
  return context.has(7)
    ? try context.quantize(real, scale: 7, zero: 8) : try converted(real, to: context.memory.floatType, context)
}

extension EvaluatorTable {
  static let quantizedFunctions: [OperatorName: Evaluator] = {
    func vendor(_ name: String) -> OperatorName { OperatorName(name, domain: "com.microsoft") }
    var table: [OperatorName: Evaluator] = [
      vendor("QLinearAdd"): { [try evaluateQuantizedPair($0)] },
      vendor("QLinearMul"): { [try evaluateQuantizedPair($0)] },
      vendor("QLinearConcat"): { [try evaluateQuantizedConcat($0)] },
      vendor("QLinearWhere"): { [try evaluateQuantizedWhere($0)] },
      vendor("QGemm"): { [try evaluateQuantizedGemm($0)] },
    ]
    for name in ["Sigmoid", "LeakyRelu", "AveragePool", "GlobalAveragePool", "Softmax"] {
      table[vendor("QLinear\(name)")] = { [try evaluateQuantizedFunction(name, $0)] }
    }
    return table
  }()
}
