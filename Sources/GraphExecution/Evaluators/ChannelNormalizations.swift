import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// One number for each channel, so that it broadcasts over `[N, C, …]`.
private func channels(_ slot: Int, of x: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let found = try context.tensor(slot)
  let count = x.rank > 1 ? x.extents[1] : 1
  guard found.extents == [count] else {
    throw context.failure(expected: "[\(count)] in operand \(slot)", found: "\(found.extents)")
  }
  return perChannel(try converted(found, to: x.type, context), x, context)
}

private func perChannel(_ values: Tensor, _ x: Tensor, _ context: EvaluationContext) -> Tensor {
  values.reshaped([values.elementCount] + Array(repeating: 1, count: max(x.rank - 2, 0)), context.memory)
}

/// `(x - mean) · (scale / √(variance + epsilon)) + bias` with given statistics, or in training with those of the batch.
func evaluateBatchNormalization(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.tensor(0)
  let (scale, bias) = (try channels(1, of: x, context), try channels(2, of: x, context))
  var (mean, variance) = (try channels(3, of: x, context), try channels(4, of: x, context))
  let epsilon = context.node.float("epsilon") ?? 1e-5
  var running: [Tensor] = []
  if context.node.integer("training_mode", default: 0) != 0 {
    let momentum = Double(context.node.float("momentum") ?? 0.9)
    let count = x.rank > 1 ? x.extents[1] : 1
    let order = [1, 0] + Array(2..<max(x.rank, 2))
    let values = x.rank > 1 ? x.transposed(order).doubles() : x.doubles()
    let size = values.count / max(count, 1)
    let parts = (0..<count).map { values[$0 * size..<($0 + 1) * size] }
    let means = parts.map { $0.reduce(0, +) / Double(size) }
    let variances = zip(parts, means).map { part, mean in
      part.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(size)
    }
    for (old, new) in [(mean, means), (variance, variances)] {
      let mixed = zip(old.doubles(), new).map { $0 * momentum + $1 * (1 - momentum) }
      running.append(try converted(Tensor(doubles: mixed, extents: [count]), to: x.type, context))
    }
    mean = perChannel(try converted(Tensor(doubles: means, extents: [count]), to: x.type, context), x, context)
    variance = perChannel(try converted(Tensor(doubles: variances, extents: [count]), to: x.type, context), x, context)
  }
  let factor: Tensor
  switch x.type {
  case .f32:
    factor = try scale.zip(variance, extents: scale.extents, context.memory) { (scale: Float, variance: Float) in
      scale / (variance + epsilon).squareRoot()
    }
  case .f64:
    factor = try scale.zip(variance, extents: scale.extents, context.memory) { (scale: Double, variance: Double) in
      scale / (variance + Double(epsilon)).squareRoot()
    }
  default: throw context.failure(.typeMismatch, expected: "floating-point numbers", found: "\(x.type)")
  }
  let centred = try combine(x, mean, "Sub", context)
  return [try combine(combine(centred, factor, "Mul", context), bias, "Add", context)] + running
}

/// Rows with their mean taken away and divided by their standard deviation.
func standardized(
  _ x: Tensor, columnsFrom axis: Int, epsilon: Float, _ context: EvaluationContext
) throws -> Tensor {
  if x.type == .f64 {
    return try mapDoubleRows(x, columnsFrom: axis, context) { row in
      let mean = row.reduce(0, +) / Double(row.count)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
      let root = (variance + Double(epsilon)).squareRoot()
      return row.map { ($0 - mean) / root }
    }
  }
  return try mapRows(x, columnsFrom: axis, context) {
    Kernels.layerNorm($0, scale: nil, bias: nil, epsilon: epsilon, into: $1, pool: context.pool)
  }
}

/// Each channel of each image normalised by itself.
func evaluateInstanceNormalization(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  guard x.rank >= 3 else { throw context.failure(expected: "[N, C, …]", found: "\(x.extents)") }
  let result = try standardized(x, columnsFrom: 2, epsilon: context.node.float("epsilon") ?? 1e-5, context)
  return try combine(
    combine(result, channels(1, of: x, context), "Mul", context), channels(2, of: x, context), "Add", context)
}

/// Groups of channels of each image normalised together. Before version 21 scale and bias are those of groups, then of channels.
func evaluateGroupNormalization(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let groups = context.node.integer("num_groups", default: 0)
  guard x.rank >= 2, groups > 0, x.extents[1] % groups == 0 else {
    throw context.failure(expected: "[N, C, …] with channels for \(groups) groups", found: "\(x.extents)")
  }
  let perGroup = x.extents[1] / groups
  let split = x.reshaped([x.extents[0], groups, perGroup] + x.extents.dropFirst(2), context.memory)
  var result = try standardized(split, columnsFrom: 2, epsilon: context.node.float("epsilon") ?? 1e-5, context)
    .reshaped(x.extents, context.memory)
  for (slot, function) in [(1, "Mul"), (2, "Add")] {
    var values = try context.tensor(slot)
    if context.node.version < 21, values.extents == [groups] {
      values = values.reshaped([groups, 1]).broadcast(to: [groups, perGroup]).reshaped([x.extents[1]], context.memory)
    }
    guard values.extents == [x.extents[1]] else {
      throw context.failure(expected: "[\(x.extents[1])] in operand \(slot)", found: "\(values.extents)")
    }
    result = try combine(result, perChannel(converted(values, to: x.type, context), x, context), function, context)
  }
  return result
}

/// `x / (bias + alpha / size · Σ x²)^beta`, summed over neighbouring channels.
func evaluateLocalResponse(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let size = context.node.integer("size", default: 1)
  guard x.rank >= 2, size > 0, size < 1 << 31 else {
    throw context.failure(expected: "[N, C, …] and a size of 1 or more", found: "\(x.extents), \(size)")
  }
  let alpha = Double(context.node.float("alpha") ?? 0.0001)
  let beta = Double(context.node.float("beta") ?? 0.75)
  let bias = Double(context.node.float("bias") ?? 1)
  let values = x.doubles()
  let (channels, inner) = (x.extents[1], x.extents.dropFirst(2).reduce(1, *))
  let below = (size - 1) / 2
  let result = values.indices.map { index -> Double in
    let channel = index / inner % channels
    var sum = 0.0
    for other in max(0, channel - below)..<min(channels, channel + size - below) {
      let value = values[index + (other - channel) * inner]
      sum += value * value
    }
    return values[index] / raised(bias + alpha / Double(size) * sum, to: beta)
  }
  return try converted(Tensor(doubles: result, extents: x.extents), to: x.type, context)
}

/// `(x - mean) / (√(mean of squares - mean²) + 1e-9)` over some axes.
func evaluateMeanVariance(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let axes = try Set((context.node.integers("axes") ?? [0, 2, 3]).map { try context.axis($0, rank: x.rank) })
  let kept = (0..<x.rank).filter { !axes.contains($0) }
  return try alongRows(x, kept + axes.sorted(), columnsFrom: kept.count, context) { row in
    let mean = row.reduce(0, +) / Double(row.count)
    let squares = row.reduce(0) { $0 + $1 * $1 } / Double(row.count)
    let deviation = max(squares - mean * mean, 0).squareRoot() + 1e-9
    return row.map { ($0 - mean) / deviation }
  }
}

/// Vectors along an axis divided by their norm; zeros stay.
func evaluateLpNormalization(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: -1), rank: x.rank)
  let isFirst = context.node.integer("p", default: 2) == 1
  let order = (0..<x.rank).filter { $0 != axis } + [axis]
  return try alongRows(x, order, columnsFrom: x.rank - 1, context) { row in
    let norm = isFirst ? row.reduce(0) { $0 + abs($1) } : row.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return row.map { norm == 0 ? 0 : $0 / norm }
  }
}

/// Applies a function in double precision to the rows of a tensor whose axes are put in another order for it.
private func alongRows(
  _ x: Tensor, _ order: [Int], columnsFrom axis: Int, _ context: EvaluationContext,
  _ body: @Sendable ([Double]) -> [Double]
) throws -> Tensor {
  let rows = try converted(x, to: .f64, context).transposed(order)
  var back = order
  for (place, source) in order.enumerated() { back[source] = place }
  let result = try mapDoubleRows(rows, columnsFrom: axis, context, body).transposed(back)
  return try converted(result, to: x.type, context)
}

extension EvaluatorTable {
  static let channelNormalizations: [OperatorName: Evaluator] = [
    OperatorName("BatchNormalization"): { try evaluateBatchNormalization($0) },
    OperatorName("InstanceNormalization"): { [try evaluateInstanceNormalization($0)] },
    OperatorName("GroupNormalization"): { [try evaluateGroupNormalization($0)] },
    OperatorName("LRN"): { [try evaluateLocalResponse($0)] },
    OperatorName("MeanVarianceNormalization"): { [try evaluateMeanVariance($0)] },
    OperatorName("LpNormalization"): { [try evaluateLpNormalization($0)] },
  ]
}
