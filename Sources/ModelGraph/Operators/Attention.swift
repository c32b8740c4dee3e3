import PollardBase

/// Scaled dot-product attention over heads: operands Q, K, V and an optional mask; query heads may share key/value heads.
///
/// Only the 4-D form is described: Q `[batch, query heads, queries, head size]`, K and V `[batch, key/value heads, keys, size]`. Query head
/// `i` reads key/value head `⌊i / ratio⌋`. Attributes: `scale` (1/√head size when left out), `is_causal`, `softcap`.
struct Attention: Operator {
  let name = OperatorName("Attention")
  let requiredInputs = 3
  let documentation = OperatorDocumentation(
    summary: "`y = softmax(scale · Q Kᵀ + mask) V` per head; a row without any allowed key is zero.",
    shapes:
      "Q: `[B, N, S, H]`; K: `[B, G, T, H]`; V: `[B, G, T, Hv]`; mask: broadcasts to `[B, N, S, T]`; y: `[B, N, S, Hv]`.",
    axes: "N = G × r; batch, queries and Hv pass; H is contracted (pinned without a literal scale); keys are pinned.",
    zeros: "Values that are zero or constant over all keys stay so, because a row's weights add up to one.",
    source: "Vaswani et al. 2017, eq. 1; ONNX Attention-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let q = context.shape(0), let k = context.shape(1), let v = context.shape(2) else {
      return context.set(0, ValueType(element, nil))
    }
    guard q.count == 4, k.count == 4, v.count == 4, context.node.outputs.count == 1, context.node.inputs.count <= 4
    else {
      throw context.failure(
        .unsupported, expected: "three operands of rank 4 and one result, without a cache", found: "\(q), \(k), \(v)")
    }
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
    context.set(0, ValueType(element, [q[0], q[1], q[2], v[3]]))
  }

  func relate(_ context: inout AxisContext) {
    guard context.rank(0) == 4, context.rank(1) == 4, context.rank(2) == 4, let heads = context.size(.input(0, 1)),
      let groups = context.size(.input(1, 1))
    else { return }
    context.unify(.input(1, 1), .input(2, 1))
    if heads == groups {
      context.unify(.input(0, 1), .input(1, 1))
    } else if let ratio = heads.dividedExactly(by: groups) {
      context.unify([.input(0, 1)], [.input(1, 1), .fresh(ratio)])
    } else {
      context.pin(.input(0, 1), .unequal)
      context.pin(.input(1, 1), .unequal)
    }
    context.unify(.input(0, 1), .output(0, 1))
    for slot in 1...2 { context.unify(.input(slot, 0), .input(0, 0)) }
    context.unify(.input(0, 0), .output(0, 0))
    context.unify(.input(0, 2), .output(0, 2))
    context.unify(.input(1, 2), .input(2, 2))
    context.pin(.input(1, 2), .softmax)
    context.contract(.input(0, 3), .input(1, 3))
    if context.node.float("scale") == nil { context.pin(.input(0, 3), .implicitScale) }
    context.unify(.input(2, 3), .output(0, 3))
    if let rank = context.rank(3), rank <= 4 {
      let scores: [AxisPlace] = [.input(0, 0), .input(0, 1), .input(0, 2), .input(1, 2)]
      for axis in 0..<rank { context.unifyBroadcasting(.input(3, axis), scores[4 - rank + axis]) }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let q = try context.state(0), let k = try context.state(1), let v = try context.state(2),
      let shape = context.resultShape(), shape.count == 4, k.shape[1] > 0, q.shape[1] % k.shape[1] == 0,
      q.shape[0] == shape[0], v.shape[0] == shape[0], v.shape[3] == shape[3], k.shape[0] == shape[0]
    else { return }
    let ratio = q.shape[1] / k.shape[1]
    var result = TokenState(shape: shape, all: .unknown)
    for batch in 0..<shape[0] {
      for head in 0..<shape[1] {
        let queries = block(q, batch, head)
        let keys = block(k, batch, head / ratio)
        let poisoned = q.states[queries].contains(.poisoned) || k.states[keys].contains(.poisoned)
        let values = block(v, batch, head / ratio)
        for size in 0..<shape[3] {
          var state = ElementState.zero
          var number: Float = 0
          for (place, index) in stride(from: values.lowerBound + size, to: values.upperBound, by: shape[3]).enumerated()
          {
            let differs = place > 0 && max(state, v.states[index]) <= .constant && v.constants[index] != number
            state = differs ? .unknown : max(state, v.states[index])
            number = v.constants[index]
          }
          for query in 0..<shape[2] {
            let index = ((batch * shape[1] + head) * shape[2] + query) * shape[3] + size
            result.states[index] = poisoned ? .poisoned : state
            result.constants[index] = !poisoned && state == .constant ? number : 0
          }
        }
      }
    }
    context.set(0, result)
  }

  /// The elements of one head.
  private func block(_ state: TokenState, _ batch: Int, _ head: Int) -> Swift.Range<Int> {
    let size = state.shape[2] * state.shape[3]
    let start = (batch * state.shape[1] + head) * size
    return start..<start + size
  }
}
