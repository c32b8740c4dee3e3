import PollardBase
import TensorStorage

/// Attention whose query heads share key/value heads, with a cache, as ONNX Runtime fuses it.
///
/// Query heads of one group are contiguous. Packed, the first operand holds query heads, key heads and value heads side by side.
struct GroupQueryAttention: Operator {
  let name = OperatorName("GroupQueryAttention", domain: "com.microsoft")
  let documentation = OperatorDocumentation(
    summary:
      "`y = softmax(scale · q kᵀ) v` per head, query head i reading key/value head ⌊i / r⌋; q and k may be rotated first.",
    shapes:
      "q: `[B, S, N·H]`, or `[B, S, (N + 2G)·H]` without k and v; k, v: `[B, S, G·H]`; past, present: `[B, G, ·, H]`; head_sink: `[N]`; y: `[B, S, N·H]`.",
    axes: "N = G × r; H is pinned, G and r pass; tables and counts are pinned.",
    zeros: "Unknown: earlier values come from a cache.",
    source: "Ainslie et al. 2023; ONNX Runtime, com.microsoft.GroupQueryAttention-1")

  private func counts(_ node: Node) -> (heads: Int, groups: Int)? {
    let heads = node.integer("num_heads", default: 0)
    let groups = node.integer("kv_num_heads", default: 0)
    return heads > 0 && groups > 0 && heads % groups == 0 ? (heads, groups) : nil
  }

  /// The head size.
  private func size(_ width: Size, isPacked: Bool, _ heads: Int, _ groups: Int) -> Size? {
    let (both, overflow) = groups.multipliedReportingOverflow(by: 2)
    return overflow ? nil : width.dividedExactly(by: Size(isPacked ? heads &+ both : heads))
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let (heads, groups) = counts(context.node) else {
      throw context.failure(expected: "query heads in equal groups", found: "\(context.node.attributes)")
    }
    guard let q = context.shape(0), q.count == 3,
      let size = size(q[2], isPacked: context.node.input(1) == nil, heads, groups),
      let width = size.multiplied(by: Size(heads))
    else { return context.set(0, ValueType(element, nil)) }
    context.set(0, ValueType(element, [q[0], q[1], width]))
    for (output, slot) in [(1, 3), (2, 4)] {
      let past = context.shape(slot).flatMap { $0.count == 4 ? $0[2] : nil }
      let keys = context.node.input(slot) == nil ? q[1] : past.map { _ in context.dataDependentSize(".\(output)") }
      context.set(
        output, ValueType(context.element(slot) ?? element, keys.map { [q[0], Size(groups), $0, size] }))
    }
  }

  func relate(_ context: inout AxisContext) {
    let isPacked = context.node.input(1) == nil
    guard let (heads, groups) = counts(context.node), context.rank(0) == 3, context.outputRank(0) == 3,
      let width = context.size(.input(0, 2)), let headSize = size(width, isPacked: isPacked, heads, groups)
    else { return }
    let g = context.factor(Size(groups))
    let r = context.factor(Size(heads / groups))
    let h = context.factor(headSize)
    context.pin(term: h, .implicitScale)
    context.unify(.input(0, 0), .output(0, 0))
    context.unify(.input(0, 1), .output(0, 1))
    context.unify([.output(0, 2)], [g, r, h])
    if isPacked {
      context.unify(.input(0, 2), sumOf: [[g, r, h], [g, h], [g, h]])
    } else {
      context.unify([.input(0, 2)], [g, r, h])
      for slot in 1...2 where context.rank(slot) == 3 {
        context.unify(.input(slot, 0), .input(0, 0))
        context.unify(.input(slot, 1), .input(0, 1))
        context.unify([.input(slot, 2)], [g, h])
      }
    }
    // Angles by place and pair of sizes stay.
    for slot in [7, 8] where context.rank(slot) == 2 {
      for axis in 0..<2 { context.pin(.input(slot, axis), .rotary) }
    }
    for slot in [3, 4] where context.rank(slot) == 4 {
      context.unify(.input(slot, 0), .input(0, 0))
      context.unify([.input(slot, 1)], [g])
      context.pin(.input(slot, 2), .softmax)
      context.unify([.input(slot, 3)], [h])
    }
    for slot in [1, 2] where context.outputRank(slot) == 4 {
      context.unify(.output(slot, 0), .input(0, 0))
      context.unify([.output(slot, 1)], [g])
      context.pin(.output(slot, 2), .softmax)
      context.unify([.output(slot, 3)], [h])
    }
    if context.rank(10) == 4 {
      for axis in [0, 2, 3] { context.pin(.input(10, axis), .softmax) }
      if context.size(.input(10, 1)) == Size(1) {
        context.pin(.input(10, 1), .softmax)
      } else {
        context.unify([.input(10, 1)], [g, r])
      }
    }
    if context.rank(11) == 1 { context.unify([.input(11, 0)], [g, r]) }
    for slot in [14, 15] where context.rank(slot) == 1 { context.unify([.input(slot, 0)], [h]) }
  }

  /// Derives both head counts from the heads that are left.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let (heads, groups) = counts(context.node), let kept = context.keptPositions(0, 2),
      let width = context.oldInputs[0]?[2].constant,
      let size = size(Size(width), isPacked: context.node.input(1) == nil, heads, groups)?.constant, size > 0
    else { return }
    let ratio = heads / groups
    let left = kept.filter { $0 < heads * size }
    var perGroup: [Int: Int] = [:]
    for head in Set(left.map { $0 / size }) { perGroup[head / ratio, default: 0] += 1 }
    guard Set(perGroup.values).count <= 1 else { throw context.failure("groups of different sizes") }
    context.setAttribute("num_heads", .integer(try context.headsLeft(left, size: size)))
    context.setAttribute("kv_num_heads", .integer(perGroup.count))
  }
}
