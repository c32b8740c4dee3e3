import PollardBase
import TensorStorage

/// Rotates pairs of positions of each head by an angle that grows with the token's place.
///
/// Operands: x `[batch, heads, sequence, head size]` or `[batch, sequence, heads · head size]` with `num_heads`, cosines and sines `[batch,
/// sequence, head size / 2]` (or `[places, head size / 2]` with place numbers). Pairs are `i` and `i + half`, or neighbours with `interleaved` 1.
/// ONNX Runtime's operator has the place numbers as its second operand, ONNX's as its fourth.
struct RotaryEmbedding: Operator {
  let name: OperatorName
  /// The slots of cosines, sines and place numbers.
  let tables: [Int]
  let places: Int
  let source: String

  let requiredInputs = 3
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y₁ = x₁·cos − x₂·sin`, `y₂ = x₂·cos + x₁·sin` for each pair (x₁, x₂).",
      shapes:
        "x, y: `[B, N, S, H]` or `[B, S, N·H]`; cos, sin: `[B, S, H/2]` or `[P, H/2]` with position_ids `[B, S]`.",
      axes: "Batch, heads and sequence are themselves; the head size is pinned.",
      zeros: "A head that is zero everywhere stays zero.", source: source, family: "Rotary embedding")
  }

  static let all = [
    RotaryEmbedding(
      name: OperatorName("RotaryEmbedding"), tables: [1, 2], places: 3,
      source: "Su et al. 2021, eq. 34; ONNX RotaryEmbedding-23"),
    RotaryEmbedding(
      name: OperatorName("RotaryEmbedding", domain: "com.microsoft"), tables: [2, 3], places: 1,
      source: "ONNX Runtime, com.microsoft.RotaryEmbedding-1"),
  ]

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    if let rank = type.shape?.count, rank != 4, rank != 3 {
      throw context.failure(.unsupported, expected: "an operand of rank 3 or 4", found: "rank \(rank)")
    }
    context.set(0, type)
  }

  /// The number of heads of a flat operand: the attribute, or what the tables leave.
  private func heads(_ context: AxisContext) -> Size? {
    let given = context.node.integer("num_heads", default: 0)
    if given > 0 { return Size(given) }
    guard let rank = context.rank(tables[0]), let half = context.size(.input(tables[0], rank - 1)),
      context.node.integer("rotary_embedding_dim", default: 0) == 0
    else { return nil }
    return half.multiplied(by: 2).flatMap { context.size(.input(0, 2))?.dividedExactly(by: $0) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0) else { return }
    let sequence: AxisPlace
    if rank == 4 {
      context.pass(0)
      context.pin(.input(0, 3), .rotary)
      sequence = .input(0, 2)
    } else {
      guard rank == 3, let count = heads(context), let width = context.size(.input(0, 2)),
        let size = width.dividedExactly(by: count)
      else { return }
      context.pass(0)
      let heads = context.factor(count)
      let sizes = context.factor(size)
      context.unify([.input(0, 2)], [heads, sizes])
      context.pin(term: sizes, .rotary)
      sequence = .input(0, 1)
    }
    // Angles by place and pair of sizes stay, and no axis of the operand but those of places follows them.
    for slot in tables where context.rank(slot) == 2 {
      for axis in 0..<2 { context.pin(.input(slot, axis), .rotary) }
    }
    for slot in tables where context.rank(slot) == 3 {
      context.pin(.input(slot, 2), .rotary)
      context.unifyBroadcasting(.input(slot, 0), .input(0, 0))
      context.unify(.input(slot, 1), sequence)
    }
    if context.rank(places) == 2 {
      context.unifyBroadcasting(.input(places, 0), .input(0, 0))
      context.unifyBroadcasting(.input(places, 1), sequence)
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let last = x.shape.indices.last else { return }
    var whole = x
    if x.shape.count == 3 {
      let heads = context.node.integer("num_heads", default: 0)
      guard heads > 0, x.shape[last] % heads == 0 else {
        return context.set(0, x.worst == .zero ? x : TokenState(shape: x.shape, all: max(x.worst, .unknown)))
      }
      whole = x.reshaped([x.shape[0], x.shape[1], heads, x.shape[last] / heads])
    }
    var one = whole.shape
    one[one.count - 1] = 1
    var rows = whole.joining([one.count - 1], shape: one)
    for index in rows.packed.indices where rows.packed[index] == .constant {
      rows.packed[index] = .unknown
      rows.packedConstants[index] = 0
    }
    if let result = TokenState.combined([rows], shape: whole.shape, { $0[0] }) {
      context.set(0, result.reshaped(x.shape))
    }
  }

  /// Derives the head count from the heads that are left; some exporters write it for operands of rank 4 too.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    let count = context.node.integer("num_heads", default: 0)
    guard count > 0, let rank = context.oldInputs[0]?.count else { return }
    if rank == 3 { return try context.adaptHeadCount("num_heads", slot: 0, axis: 2) }
    if let kept = context.keptPositions(0, 1) { context.setAttribute("num_heads", .integer(kept.count)) }
  }
}
