import PollardBase
import TensorStorage

/// Scaled dot-product attention over heads: operands Q, K, V, an optional mask, and an optional cache of earlier keys and values.
///
/// Operands are `[batch, heads, places, size]`, or `[batch, places, heads · size]` with the attributes `q_num_heads` and `kv_num_heads`. Query
/// head `i` reads key/value head `⌊i / ratio⌋`. Attributes: `scale` (1/√head size when left out), `is_causal`, `softcap`.
struct Attention: Operator {
  let name = OperatorName("Attention")
  let requiredInputs = 3
  let documentation = OperatorDocumentation(
    summary: "`y = softmax(scale · Q Kᵀ + mask) V` per head; a row without any allowed key is zero.",
    shapes:
      "Q: `[B, N, S, H]`; K: `[B, G, T, H]`; V: `[B, G, T, Hv]`, or `[B, S, N·H]` and so on; mask: broadcasts to `[B, N, S, T]`; past: `[B, G, P, H]`; y: as Q with Hv.",
    axes: "N = G × r; batch, queries and Hv pass; H is contracted (pinned without a literal scale); keys are pinned.",
    zeros: "Values that are zero or constant over all keys stay so, because a row's weights add up to one.",
    source: "Vaswani et al. 2017, eq. 1; ONNX Attention-24")

  /// The shapes of Q, K and V with heads as an axis; nil when they are not known.
  private func shapes(_ context: InferenceContext) throws(GraphError) -> (q: [Size], k: [Size], v: [Size])? {
    guard let q = try split(0, "q_num_heads", context), let k = try split(1, "kv_num_heads", context),
      let v = try split(2, "kv_num_heads", context)
    else { return nil }
    return (q, k, v)
  }

  private func split(_ slot: Int, _ attribute: String, _ context: InferenceContext) throws(GraphError) -> [Size]? {
    guard let shape = context.shape(slot) else { return nil }
    if shape.count == 4 { return shape }
    let heads = context.node.integer(attribute, default: 0)
    guard shape.count == 3, heads > 0, let size = shape[2].dividedExactly(by: Size(heads)) else {
      throw context.failure(
        expected: "an operand of rank 4, or of rank 3 whose last axis \(attribute) divides", found: "\(shape), \(heads)"
      )
    }
    return [shape[0], Size(heads), shape[1], size]
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let (q, k, v) = try shapes(context) else { return context.set(0, ValueType(element, nil)) }
    if let heads = q[1].constant, let groups = k[1].constant, groups == 0 || heads % groups != 0 {
      throw context.failure(
        expected: "query heads in equal groups", found: "\(heads) query and \(groups) key/value heads")
    }
    if k[1] != v[1], k[1].constant != nil, v[1].constant != nil {
      throw context.failure(expected: "as many key as value heads", found: "\(k) and \(v)")
    }
    if q[3] != k[3], q[3].constant != nil, k[3].constant != nil {
      throw context.failure(expected: "one head size in Q and K", found: "\(q) and \(k)")
    }
    let isFlat = context.shape(0)?.count == 3
    if isFlat, let width = q[1].multiplied(by: v[3]) {
      context.set(0, ValueType(element, [q[0], q[2], width]))
    } else {
      context.set(0, ValueType(element, isFlat ? nil : [q[0], q[1], q[2], v[3]]))
    }
    if context.node.outputs.count == 1 { return }
    let past = context.shape(4).flatMap { $0.count == 4 ? $0[2] : nil } ?? 0
    let total = context.node.input(4) == nil ? k[2] : past.adding(k[2])
    for (slot, source) in [(1, k), (2, v)] {
      context.set(
        slot, ValueType(context.element(slot) ?? element, total.map { [source[0], source[1], $0, source[3]] }))
    }
    context.set(3, ValueType(element, total.map { [q[0], q[1], q[2], $0] }))
  }

  func relate(_ context: inout AxisContext) {
    guard let q = operand(0, "q_num_heads", &context), let k = operand(1, "kv_num_heads", &context),
      let v = operand(2, "kv_num_heads", &context)
    else { return }
    if q.headCount == k.headCount {
      context.unify(q.heads, k.heads)
    } else if let ratio = q.headCount.dividedExactly(by: k.headCount) {
      context.unify(q.heads, k.heads + [.fresh(ratio)])
    } else {
      for term in q.heads + k.heads { context.pin(term: term, .unequal) }
    }
    context.unify(k.heads, v.heads)
    for operand in [k, v] { context.unify([operand.batch], [q.batch]) }
    context.unify([k.places], [v.places])
    context.pin(term: k.places, .softmax)
    if case .place(let queries)? = q.size, case .place(let keys)? = k.size {
      context.contract(queries, keys)
    } else {
      context.unify(q.sizes, k.sizes)
    }
    if context.node.float("scale") == nil || q.size == nil {
      for term in q.sizes { context.pin(term: term, .implicitScale) }
    }
    if context.rank(0) == 4 {
      context.unify([q.batch], [.output(0, 0)])
      context.unify(q.heads, [.output(0, 1)])
      context.unify([q.places], [.output(0, 2)])
      context.unify(v.sizes, [.output(0, 3)])
    } else {
      context.unify([q.batch], [.output(0, 0)])
      context.unify([q.places], [.output(0, 1)])
      context.unify(q.heads + v.sizes, [.output(0, 2)])
    }
    relateMask(&context, q, k)
    relateCache(&context, k, v, q)
  }

  private struct Operand {
    var batch: AxisTerm
    var heads: [AxisTerm]
    var places: AxisTerm
    var sizes: [AxisTerm]
    /// The size's own axis, where it has one.
    var size: AxisTerm?
    var headCount: Size
  }

  private func operand(_ slot: Int, _ attribute: String, _ context: inout AxisContext) -> Operand? {
    if context.rank(slot) == 4, let count = context.size(.input(slot, 1)) {
      return Operand(
        batch: .input(slot, 0), heads: [.input(slot, 1)], places: .input(slot, 2), sizes: [.input(slot, 3)],
        size: .input(slot, 3), headCount: count)
    }
    let count = Size(context.node.integer(attribute, default: 0))
    guard context.rank(slot) == 3, count.isPositive, let width = context.size(.input(slot, 2)),
      let size = width.dividedExactly(by: count)
    else { return nil }
    let heads = context.factor(count)
    let sizes = context.factor(size)
    context.unify([.input(slot, 2)], [heads, sizes])
    return Operand(
      batch: .input(slot, 0), heads: [heads], places: .input(slot, 1), sizes: [sizes], size: nil, headCount: count)
  }

  private func relateMask(_ context: inout AxisContext, _ q: Operand, _ k: Operand) {
    guard let rank = context.rank(3), rank <= 4 else { return }
    let scores: [AxisTerm] = [q.batch] + [q.places, k.places]
    for axis in 0..<rank {
      let place = 4 - rank + axis
      if context.size(.input(3, axis)) == Size(1) {
        context.unify([.input(3, axis)], [])
      } else if place == 1 {
        context.unify([.input(3, axis)], q.heads)
      } else if place == 3, context.node.input(4) != nil {
        // The keys of the cache come before: the mask sees their sum.
        context.pin(.input(3, axis), .softmax)
      } else {
        context.unify([.input(3, axis)], [scores[place == 0 ? 0 : place - 1]])
      }
    }
  }

  private func relateCache(_ context: inout AxisContext, _ k: Operand, _ v: Operand, _ q: Operand) {
    for (slot, output, source) in [(4, 1, k), (5, 2, v)] {
      if context.rank(slot) == 4 {
        context.unify([.input(slot, 0)], [source.batch])
        context.unify([.input(slot, 1)], source.heads)
        context.pin(.input(slot, 2), .softmax)
        context.unify([.input(slot, 3)], source.sizes)
      }
      if context.outputRank(output) == 4 {
        context.unify([.output(output, 0)], [source.batch])
        context.unify([.output(output, 1)], source.heads)
        context.pin(.output(output, 2), .softmax)
        context.unify([.output(output, 3)], source.sizes)
      }
    }
    if context.outputRank(3) == 4 {
      context.unify([.output(3, 0)], [q.batch])
      context.unify([.output(3, 1)], q.heads)
      context.unify([.output(3, 2)], [q.places])
      context.pin(.output(3, 3), .softmax)
    }
    if context.rank(6) == 1 { context.unify([.input(6, 0)], [q.batch]) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var q = try context.state(0), var k = try context.state(1), var v = try context.state(2),
      let shape = context.resultShape()
    else { return }
    func split(_ state: TokenState, _ attribute: String) -> TokenState? {
      if state.shape.count == 4 { return state }
      let heads = context.node.integer(attribute, default: 0)
      guard state.shape.count == 3, heads > 0, state.shape[2] % heads == 0 else { return nil }
      return state.reshaped([state.shape[0], state.shape[1], heads, state.shape[2] / heads]).transposed([0, 2, 1, 3])
    }
    guard let q4 = split(q, "q_num_heads"), let k4 = split(k, "kv_num_heads"), let v4 = split(v, "kv_num_heads") else {
      return
    }
    (q, k, v) = (q4, k4, v4)
    for (slot, output) in [(4, 1), (5, 2)] {
      guard let new = context.resultShape(output) else { continue }
      let present = slot == 4 ? k : v
      let parts = context.node.input(slot) == nil ? [present] : try [context.state(slot), present].compactMap { $0 }
      if let whole = TokenState.concatenated(parts, axis: 2), whole.shape == new { context.set(output, whole) }
    }
    if context.node.input(4) != nil, try context.state(4)?.worst == .poisoned {
      k = TokenState(shape: k.shape, all: .poisoned)
    }
    // Shares go to the values of the cache too, whether or not anybody wants the cache back.
    if context.node.input(5) != nil {
      let past = try context.state(5)?.worst ?? .unknown
      v = past == .zero ? v.withoutConstants : TokenState(shape: v.shape, all: max(.unknown, past, v.worst))
    }
    // Constants are those of rows that see a key: a row that sees none is zero, before a cut and after it alike.
    if let result = Self.context(q, k, v) {
      context.set(
        0, shape.count == 4 ? result : result.transposed([0, 2, 1, 3]).reshaped(shape))
    }
  }

  /// The shares of values, by head: `[batch, heads, queries, size]`.
  static func context(_ q: TokenState, _ k: TokenState, _ v: TokenState) -> TokenState? {
    let groups = k.shape[1]
    guard groups > 0, q.shape[1] % groups == 0, v.shape[1] == groups else { return nil }
    // What all keys' values share is what a row of shares that add up to one gives.
    let ratio = q.shape[1] / groups
    var one = v.shape
    one[2] = 1
    let values = v.joining([2], shape: one).selecting((0..<q.shape[1]).map { $0 / ratio }, axis: 1)
    var scalar = k.shape
    scalar[2] = 1
    scalar[3] = 1
    let keys = k.joining([2, 3], shape: scalar).selecting((0..<q.shape[1]).map { $0 / ratio }, axis: 1)
    var row = q.shape
    row[2] = 1
    row[3] = 1
    let queries = q.joining([2, 3], shape: row)
    let shape = [q.shape[0], q.shape[1], q.shape[2], v.shape[3]]
    return TokenState.combined([queries, keys, values], shape: shape) { parts in
      parts[0].0 == .poisoned || parts[1].0 == .poisoned ? (.poisoned, 0) : parts[2]
    }
  }

  /// Derives the head counts of flat operands from the heads that are left.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    for (slot, attribute) in [(0, "q_num_heads"), (1, "kv_num_heads")] where context.oldInputs[slot]?.count == 3 {
      try context.adaptHeadCount(attribute, slot: slot, axis: 2)
    }
  }
}

extension AdaptationContext {
  /// Sets an attribute that counts heads to the number of heads of which a position is left on an axis `[heads · size]`.
  mutating func adaptHeadCount(_ attribute: String, slot: Int, axis: Int) throws(CompactionError) {
    let count = node.integer(attribute, default: 0)
    guard count > 0, let kept = keptPositions(slot, axis), let width = oldInputs[slot]?[axis].constant,
      width % count == 0
    else { return }
    let left = try headsLeft(kept, size: width / count)
    setAttribute(attribute, .integer(left))
  }

  /// The number of heads of which positions are left; all of these must have equally many.
  func headsLeft(_ kept: some Sequence<Int>, size: Int) throws(CompactionError) -> Int {
    var counts: [Int: Int] = [:]
    for position in kept { counts[position / max(size, 1), default: 0] += 1 }
    guard Set(counts.values).count <= 1 else { throw failure("heads of different sizes") }
    return counts.count
  }
}
