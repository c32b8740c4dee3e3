import ModelGraph
import PollardBase
import TensorStorage

/// Attention in double precision; the mask, if any, is a view `[batch, heads, queries, keys]`.
func doubleAttention(
  _ q: Tensor, _ k: Tensor, _ v: Tensor, _ mask: Tensor?, _ context: EvaluationContext
) throws -> Tensor {
  let (heads, queries, size, keys, width) = (q.extents[1], q.extents[2], q.extents[3], k.extents[2], v.extents[3])
  let result = try context.memory.tensor(.f64, [q.extents[0], heads, queries, width])
  if result.extents.contains(0) { return result }
  let ratio = heads / k.extents[1]
  let scale = context.node.float("scale").map { Double($0) } ?? 1 / Double(size).squareRoot()
  let softcap = Double(context.node.float("softcap") ?? 0)
  let causal = context.node.integer("is_causal", default: 0) != 0
  nonisolated(unsafe) let operands = (
    q.pointer(Double.self), k.pointer(Double.self), v.pointer(Double.self), result.written(Double.self)
  )
  nonisolated(unsafe) let bias = mask.flatMap { $0.type == .f64 ? $0.pointer(Double.self) : nil }
  nonisolated(unsafe) let allowed = mask.flatMap { $0.type == .bool ? $0.pointer(UInt8.self) : nil }
  forEachStep(q.extents[0] * heads * queries, size: keys * (size + width), context.pool) { row in
    let (rest, query) = row.quotientAndRemainder(dividingBy: queries)
    let (sequence, head) = rest.quotientAndRemainder(dividingBy: heads)
    let x = operands.0 + sequence * q.strides[0] + head * q.strides[1] + query * q.strides[2]
    let y = operands.1 + sequence * k.strides[0] + head / ratio * k.strides[1]
    let z = operands.2 + sequence * v.strides[0] + head / ratio * v.strides[1]
    let output = operands.3 + row * width
    let place = mask.map { sequence * $0.strides[0] + head * $0.strides[1] + query * $0.strides[2] } ?? 0
    var scores = Array(repeating: -Double.infinity, count: keys)
    for key in 0..<keys where !causal || key <= query {
      if let allowed, allowed[place + key] == 0 { continue }
      var sum = 0.0
      for index in 0..<size { sum += x[index * q.strides[3]] * y[key * k.strides[2] + index * k.strides[3]] }
      sum *= scale
      if softcap != 0 { sum = softcap * hyperbolicTangent(sum / softcap) }
      scores[key] = sum + (bias.map { $0[place + key] } ?? 0)
    }
    let largest = scores.max() ?? -.infinity
    let weights = scores.map { $0 == -.infinity ? 0 : exponential($0 - largest) }
    let total = weights.reduce(0, +)
    for index in 0..<width {
      var sum = 0.0
      for key in 0..<keys where weights[key] != 0 {
        sum += weights[key] * z[key * v.strides[2] + index * v.strides[3]]
      }
      output[index] = total == 0 ? 0 : sum / total
    }
  }
  withExtendedLifetime((q, k, v, mask)) {}
  return result
}
