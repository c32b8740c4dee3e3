import PollardBase
import TensorStorage

/// Attention over projected queries, keys and values with heads side by side, as ONNX Runtime fuses it.
struct MultiHeadAttention: Operator {
  let name = OperatorName("MultiHeadAttention", domain: "com.microsoft")
  let documentation = OperatorDocumentation(
    summary: "`y = softmax(scale · q kᵀ + mask) v` per head, a bias `[q | k | v]` added first.",
    shapes:
      "q: `[B, S, N·H]`; k: `[B, T, N·H]` or `[B, N, T, H]`; v alike with Hv; past, present: `[B, N, ·, H]`; y: `[B, S, N·Hv]`.",
    axes: "Axes of heads are N × H and N × Hv; H is pinned, N passes; packed operands (rank 5) are pinned.",
    zeros: "A column of values that is zero stays so, without a bias and a cache.",
    source: "ONNX Runtime, com.microsoft.MultiHeadAttention-1")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    let heads = Size(context.node.integer("num_heads", default: 0))
    guard let q = context.shape(0), q.count == 3, let v = context.shape(2) else {
      if let q = context.shape(0), q.count == 5, context.node.input(1) == nil, let width = q[2].multiplied(by: q[4]) {
        context.set(0, ValueType(element, [q[0], q[1], width]))
      } else {
        context.set(0, ValueType(element, nil))
      }
      for slot in 1..<3 { context.set(slot, ValueType(element, nil)) }
      return
    }
    let width = v.count == 4 ? v[1].multiplied(by: v[3]) : v.count == 3 ? v[2] : nil
    context.set(0, ValueType(element, width.map { [q[0], q[1], $0] }))
    let past = context.shape(6).flatMap { $0.count == 4 ? $0[2] : nil }
    for slot in 1...2 {
      guard let source = context.shape(slot) else { continue }
      let keys = source.count == 4 ? source[2] : source.count == 3 ? source[1] : nil
      let size = source.count == 4 ? source[3] : source.count == 3 ? source[2].dividedExactly(by: heads) : nil
      let total = context.node.input(6) == nil ? keys : keys.flatMap { past?.adding($0) }
      guard let total, let size else {
        context.set(slot, ValueType(element, nil))
        continue
      }
      context.set(slot, ValueType(element, [q[0], heads, total, size]))
    }
  }

  func relate(_ context: inout AxisContext) {
    let count = Size(context.node.integer("num_heads", default: 0))
    guard count.isPositive, context.rank(0) == 3, context.outputRank(0) == 3,
      let h = context.size(.input(0, 2))?.dividedExactly(by: count),
      let hv = context.size(.output(0, 2))?.dividedExactly(by: count)
    else { return }
    let n = context.factor(count)
    let keySize = context.factor(h)
    let valueSize = context.factor(hv)
    context.unify([.input(0, 2)], [n, keySize])
    context.unify([.output(0, 2)], [n, valueSize])
    context.pin(term: keySize, .implicitScale)
    context.unify(.input(0, 0), .output(0, 0))
    context.unify(.input(0, 1), .output(0, 1))
    for (slot, size) in [(1, keySize), (2, valueSize)] {
      if context.rank(slot) == 3 {
        context.unify(.input(slot, 0), .input(0, 0))
        context.pin(.input(slot, 1), .softmax)
        context.unify([.input(slot, 2)], [n, size])
      } else if context.rank(slot) == 4 {
        context.unify(.input(slot, 0), .input(0, 0))
        context.unify([.input(slot, 1)], [n])
        context.pin(.input(slot, 2), .softmax)
        context.unify([.input(slot, 3)], [size])
      }
    }
    if context.rank(3) == 1 { context.unify(.input(3, 0), sumOf: [[n, keySize], [n, keySize], [n, valueSize]]) }
    for axis in 0..<(context.rank(4) ?? 0) { context.pin(.input(4, axis), .softmax) }
    if context.rank(5) == 4 {
      for axis in [0, 2, 3] { context.pin(.input(5, axis), .softmax) }
      if context.size(.input(5, 1)) == Size(1) {
        context.pin(.input(5, 1), .softmax)
      } else {
        context.unify([.input(5, 1)], [n])
      }
    }
    for (slot, output, size) in [(6, 1, keySize), (7, 2, valueSize)] {
      if context.rank(slot) == 4 {
        context.unify(.input(slot, 0), .input(0, 0))
        context.unify([.input(slot, 1)], [n])
        context.pin(.input(slot, 2), .softmax)
        context.unify([.input(slot, 3)], [size])
      }
      if context.outputRank(output) == 4 {
        context.unify(.output(output, 0), .input(0, 0))
        context.unify([.output(output, 1)], [n])
        context.pin(.output(output, 2), .softmax)
        context.unify([.output(output, 3)], [size])
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let shape = context.resultShape(), shape.count == 3, context.node.input(3) == nil,
      context.node.input(6) == nil, var v = try context.state(2)
    else { return }
    for slot in 0..<2 where try context.state(slot)?.worst == .poisoned {
      return context.set(0, TokenState(shape: shape, all: .poisoned))
    }
    if v.shape.count == 4 {
      v = v.transposed([0, 2, 1, 3]).reshaped([v.shape[0], v.shape[2], v.shape[1] * v.shape[3]])
    }
    guard v.shape.count == 3 else { return }
    var one = v.shape
    one[1] = 1
    var rows = v.joining([1], shape: one)
    for index in rows.packed.indices where rows.packed[index] == .constant {
      rows.packed[index] = .unknown
      rows.packedConstants[index] = 0
    }
    if let result = TokenState.combined([rows], shape: shape, { $0[0] }) { context.set(0, result) }
  }

  /// Derives the head count from the query heads that are left.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    if context.oldInputs[0]?.count == 3 { try context.adaptHeadCount("num_heads", slot: 0, axis: 2) }
  }
}
