import PollardBase

/// Rotates pairs of positions of each head by an angle that grows with the token's place.
///
/// Operands: x `[batch, heads, sequence, head size]`, cosines and sines `[batch, sequence, head size / 2]` (or `[places, head size / 2]` with
/// place numbers as the fourth operand). Pairs are `i` and `i + half`, or neighbours with `interleaved` 1.
struct RotaryEmbedding: Operator {
  let name = OperatorName("RotaryEmbedding")
  let requiredInputs = 3
  let documentation = OperatorDocumentation(
    summary: "`y₁ = x₁·cos − x₂·sin`, `y₂ = x₂·cos + x₁·sin` for each pair (x₁, x₂).",
    shapes: "x, y: `[B, N, S, H]`; cos, sin: `[B, S, H/2]` or `[P, H/2]` with position_ids `[B, S]`.",
    axes: "Batch, heads and sequence are themselves; the head size is pinned.",
    zeros: "A head that is zero everywhere stays zero.", source: "Su et al. 2021, eq. 34; ONNX RotaryEmbedding-23")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    if let rank = type.shape?.count, rank != 4 {
      throw context.failure(.unsupported, expected: "an operand of rank 4", found: "rank \(rank)")
    }
    context.set(0, type)
  }

  func relate(_ context: inout AxisContext) {
    guard context.rank(0) == 4 else { return }
    for axis in 0..<4 { context.unify(.input(0, axis), .output(0, axis)) }
    context.pin(.input(0, 3), .rotary)
    if context.rank(1) == 3 {
      for slot in 1...2 {
        context.unifyBroadcasting(.input(slot, 0), .input(0, 0))
        context.unify(.input(slot, 1), .input(0, 2))
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let row = x.shape.last, row > 0 else { return }
    var result = x
    for start in stride(from: 0, to: x.states.count, by: row) {
      let worst = x.states[start..<start + row].max() ?? .zero
      for index in start..<start + row {
        result.states[index] = worst == .zero || worst == .poisoned ? worst : .unknown
        result.constants[index] = 0
      }
    }
    context.set(0, result)
  }
}
