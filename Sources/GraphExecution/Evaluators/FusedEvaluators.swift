import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

// Operators of the domain com.microsoft, as ONNX Runtime's ContribOperators.md describes them.

/// The sum of two tensors and a bias, normalised; the sum is a result of its own.
func evaluateSkipNormalization(_ context: EvaluationContext) throws -> [Tensor] {
  let isCentred = context.node.op.name == "SkipLayerNormalization"
  let (x, skip) = (try context.tensor(0), try context.tensor(1))
  guard try context.broadcast([x.extents, skip.extents]) == x.extents, x.rank >= 1 else {
    throw context.failure(expected: "a second operand that broadcasts to \(x.extents)", found: "\(skip.extents)")
  }
  var sum = try combine(x, skip, "Add", context)
  if let bias = try context.optionalTensor(isCentred ? 4 : 3) { sum = try combine(sum, bias, "Add", context) }
  let axis = x.rank - 1
  let epsilon = context.node.float("epsilon") ?? 1e-12
  let scale = try vector(2, of: sum, from: axis, context)
  let result: Tensor
  if isCentred {
    let bias = context.has(3) ? try vector(3, of: sum, from: axis, context) : nil
    result = try layerNormalized(sum, axis, scale, bias, epsilon, context)
  } else {
    result = try rootNormalized(sum, axis, scale, epsilon, context)
  }
  let wanted = context.node.outputs.dropFirst().prefix(2).contains { $0 != nil }
  let all = wanted ? try moments(sum, axis, epsilon, isCentred: true, context) : [sum, sum]
  let roots = wanted && !isCentred ? try moments(sum, axis, epsilon, isCentred: false, context)[0] : all[1]
  return [result, all[0], roots, sum]
}

/// Word, position and segment vectors added and normalised, and the number of places that a mask leaves of each sequence.
func evaluateEmbedNormalization(_ context: EvaluationContext) throws -> [Tensor] {
  let shape = try context.tensor(0).extents
  guard shape.count == 2 else { throw context.failure(expected: "[batch, positions]", found: "\(shape)") }
  let isQuantized = context.node.op.name == "QEmbedLayerNormalization"
  // The scales of the five tables follow the mask, then their zero points.
  func real(_ slot: Int) throws -> Tensor {
    guard isQuantized else { return try context.tensor(slot) }
    let values = try dequantized(
      context.tensor(slot), scale: context.tensor(slot + 6), zero: context.optionalTensor(slot + 11), context)
    return try converted(values, to: context.memory.floatType, context)
  }
  func rows(_ table: Int, _ numbers: [Int], _ slot: Int) throws -> Tensor {
    let weights = try real(table)
    guard weights.rank == 2 else { throw context.failure(expected: "a table", found: "\(weights.extents)") }
    let places = try numbers.map { try context.position($0, of: weights.extents[0], slot: slot) }
    return try weights.picking([places, Array(0..<weights.extents[1])], context.memory)
  }
  var sum = try rows(2, context.integers(0), 0)
  let given = context.has(8) && !isQuantized ? try context.integers(8) : nil
  var positions = given ?? (0..<shape[0]).flatMap { _ in 0..<shape[1] }
  if positions.count == shape[1], shape[0] > 1 { positions = (0..<shape[0]).flatMap { _ in positions } }
  guard positions.count == shape[0] * shape[1] else {
    throw context.failure(expected: "\(shape[0] * shape[1]) positions", found: "\(positions.count)")
  }
  sum = try combine(sum, rows(3, positions, 8), "Add", context)
  if context.has(1), context.has(4) { sum = try combine(sum, rows(4, context.integers(1), 1), "Add", context) }
  sum = sum.reshaped(shape + [sum.extents[1]], context.memory)
  let (scale, bias) = (try real(5), try real(6))
  guard scale.extents == [sum.extents[2]], bias.extents == scale.extents else {
    throw context.failure(expected: "a scale and a bias [\(sum.extents[2])]", found: "\(scale.extents)")
  }
  let result = try layerNormalized(
    sum, 2, scale.contiguous(context.memory), bias.contiguous(context.memory),
    context.node.float("epsilon") ?? 1e-12, context)
  var counts = Array(repeating: Int32(0), count: shape[0])
  if context.has(7) {
    let mask = try context.integers(7)
    guard mask.count == shape[0] * shape[1] else {
      throw context.failure(expected: "a mask \(shape)", found: "\(mask.count) numbers")
    }
    counts = (0..<shape[0]).map { row in
      Int32(truncatingIfNeeded: mask[row * shape[1]..<(row + 1) * shape[1]].filter { $0 == 1 }.count)
    }
  }
  return [result, Tensor(narrowIntegers: counts, extents: [shape[0]]), sum]
}

/// An activation after a bias, if there is one.
func evaluateFusedActivation(_ context: EvaluationContext) throws -> Tensor {
  var x = try context.tensor(0)
  if let bias = try context.optionalTensor(1) { x = try combine(x, bias, "Add", context) }
  let node = context.node
  let attributes: [String: Attribute]
  let name: String
  switch node.op.name {
  case "FastGelu": (name, attributes) = ("Gelu", ["approximate": .string("tanh")])
  case "QuickGelu": (name, attributes) = ("Swish", ["alpha": .float(node.float("alpha") ?? 1.702)])
  default: (name, attributes) = ("Gelu", [:])
  }
  return try applied(name, attributes, to: x, context)
}

/// One of ONNX's functions of one operand, applied within another operator.
func applied(
  _ name: String, _ attributes: [String: Attribute], to x: Tensor, _ context: EvaluationContext
) throws -> Tensor {
  let node = Node(
    OperatorName(name), name: context.node.name, inputs: Array(context.node.inputs.prefix(1)),
    outputs: context.node.outputs, attributes: attributes)
  return try evaluateUnary(
    EvaluationContext(
      node: node, operands: [.tensor(x)], graph: context.graph, memory: context.memory, matrices: context.matrices))
}

/// Scores for the distance of a query and a key, in buckets that grow with the distance: `[1, heads, queries, keys]`.
///
/// - Source: Raffel et al. 2020 (T5), relative position buckets.
func evaluateRelativePositionBias(_ context: EvaluationContext) throws -> Tensor {
  let table = try context.tensor(0)
  let (queries, keys) = (try context.integer(1), try context.integer(2))
  let reach = context.node.integer("max_distance", default: 128)
  let isBidirectional = context.node.integer("is_bidirectional", default: 0) != 0
  guard table.rank == 2, queries >= 0, keys >= 0, table.extents[0] >= (isBidirectional ? 4 : 2), reach > 0 else {
    throw context.failure(expected: "a table [buckets, heads] and two lengths", found: "\(table.extents)")
  }
  try context.checkView(table.type, [table.extents[1], queries, keys])
  try context.checkSize([wide, queries, keys])
  let count = isBidirectional ? table.extents[0] / 2 : table.extents[0]
  let exact = count / 2
  func bucket(_ query: Int, _ key: Int) -> Int {
    var distance = query - key
    var start = 0
    if isBidirectional {
      if distance < 0 { start = count }
      distance = abs(distance)
    } else {
      distance = max(distance, 0)
    }
    if distance < exact { return start + distance }
    let ratio =
      Float(logarithm(Double(Float(distance) / Float(exact))))
      / Float(logarithm(Double(Float(reach) / Float(exact))))
    return start + min(count - 1, held(Float(exact) + ratio * Float(count - exact), Int.self))
  }
  let buckets = (0..<queries).flatMap { query in (0..<keys).map { bucket(query, $0) } }
  guard buckets.allSatisfy({ (0..<table.extents[0]).contains($0) }) else {
    throw context.failure(expected: "a max_distance above \(exact)", found: "\(reach)")
  }
  return try table.transposed([1, 0]).picking([Array(0..<table.extents[1]), buckets], context.memory)
    .reshaped([1, table.extents[1], queries, keys], context.memory)
}

extension EvaluatorTable {
  /// Operators of the domain `com.microsoft`.
  static let fused: [OperatorName: Evaluator] = {
    let evaluators: [String: Evaluator] = [
      "Attention": { try evaluateFusedAttention($0) },
      "QAttention": { try evaluateQuantizedAttention($0) },
      "MultiHeadAttention": { try evaluateMultiHeadAttention($0) },
      "GroupQueryAttention": { try evaluateGroupQueryAttention($0) },
      "RotaryEmbedding": { [try evaluateFusedRotaryEmbedding($0)] },
      "SkipLayerNormalization": { try evaluateSkipNormalization($0) },
      "SkipSimplifiedLayerNormalization": { try evaluateSkipNormalization($0) },
      "EmbedLayerNormalization": { try evaluateEmbedNormalization($0) },
      "QEmbedLayerNormalization": { Array(try evaluateEmbedNormalization($0).prefix(2)) },
      "BiasGelu": { [try evaluateFusedActivation($0)] },
      "FastGelu": { [try evaluateFusedActivation($0)] },
      "Gelu": { [try evaluateFusedActivation($0)] },
      "QuickGelu": { [try evaluateFusedActivation($0)] },
      "RelativePositionBias": { [try evaluateRelativePositionBias($0)] },
      "FusedConv": { [try evaluateFusedConvolution($0)] },
      "TransposeMatMul": { [try evaluateFusedMatMul($0)] },
      "FusedMatMul": { [try evaluateFusedMatMul($0)] },
      "FusedGemm": { [try evaluateFusedGemm($0)] },
      "MatMulNBits": { [try evaluateBlockQuantizedProduct($0)] },
      "GatherBlockQuantized": { [try evaluateBlockQuantizedGather($0)] },
      "DynamicQuantizeMatMul": { [try evaluateDynamicallyQuantizedProduct($0)] },
      "MatMulIntegerToFloat": { [try evaluateIntegerProductToFloat($0)] },
    ]
    var table: [OperatorName: Evaluator] = [:]
    for (name, evaluator) in evaluators { table[OperatorName(name, domain: "com.microsoft")] = evaluator }
    return table
  }()
}
