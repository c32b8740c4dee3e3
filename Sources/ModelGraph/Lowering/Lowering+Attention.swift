import PollardBase
import TensorStorage

extension Lowering {
  /// Attention without the operator (before operator set 23), for operands of rank 4.
  ///
  ///     y = Attention(q, k, v, mask, scale: s)
  ///
  /// becomes, `[B, N, S, H]` by `[B, G, T, H]`,
  ///
  ///     k = Reshape(Expand(Unsqueeze(k, 2), [1, 1, N/G, 1, 1]), [0, N, -1, H])         only if N ≠ G; v alike
  ///     a = Mul(MatMul(q, Transpose(k, [0, 1, 3, 2])), s)                              [B, N, S, T]
  ///     a = Mul(Tanh(Div(a, c)), c)                                                    only if softcap c ≠ 0
  ///     a = Add(a, Where(mask, 0, lowest))                                             once for all nodes with the mask
  ///     y = MatMul(Softmax(a), v)
  ///
  /// With `is_causal` the mask is joined with `Less(keys, queries + 1)` over two ranges. Batch and sequence stay open.
  ///
  /// Differs from the operator where a query sees no key: the operator gives zeros, this the mean of the values, as `lowest` is a finite number
  /// so that such rows, which padding makes, stay finite and no valid row ever sees a NaN.
  ///
  /// - Source: ONNX Attention-23 and its function body.
  static let attention = Lowering("Attention", since: 23) { context throws(GraphError) in
    let node = context.node
    try context.requireOneResult()
    try context.requireNeutral([
      "left_window_size": .integer(-1), "right_window_size": .integer(-1), "qk_matmul_output_mode": .integer(0),
    ])
    guard node.inputs.count <= 4, let query = context.shape(node.input(0)), let key = context.shape(node.input(1)),
      let value = context.shape(node.input(2)), query.count == 4, key.count == 4, value.count == 4,
      let heads = query[1].constant, let groups = key[1].constant, groups > 0, heads % groups == 0
    else {
      throw context.failure(expected: "operands of rank 4 with known heads and no cache", found: "others")
    }
    guard let width = query[3].constant, width > 0 else {
      throw context.failure(expected: "a known head size", found: "\(query[3])")
    }
    let element = context.type(node.input(0))?.element ?? .f32
    var k = try context.operand(1)
    var v = try context.operand(2)
    if heads != groups {
      k = try context.repeated(k, key, times: heads / groups)
      v = try context.repeated(v, value, times: heads / groups)
    }
    let turned = try context.add("Transpose", [k], ["perm": .integers([0, 1, 3, 2])])
    var scores = try context.add("MatMul", [context.operand(0), turned])
    let scale = node.float("scale") ?? 1 / Float(width).squareRoot()
    if scale != 1 { scores = try context.add("Mul", [scores, context.scalar(scale, element)]) }
    if let cap = node.float("softcap"), cap != 0 {
      let limit = context.scalar(cap, element)
      scores = try context.add("Mul", [context.add("Tanh", [context.add("Div", [scores, limit])]), limit])
    }
    if let bias = try context.attentionBias(queries: query[2], keys: key[2], element) {
      scores = try context.add("Add", [scores, bias])
    }
    let weights = try context.add("Softmax", [scores], ["axis": .integer(-1)])
    try context.finish("MatMul", [weights, v])
  }
}

extension LoweringContext {
  /// Each key/value head repeated for the query heads that read it: `[B, G, T, H]` to `[B, G · times, T, H]`.
  fileprivate mutating func repeated(_ x: ValueID, _ shape: [Size], times: Int) throws(GraphError) -> ValueID {
    guard let groups = shape[1].constant, let width = shape[3].constant else {
      throw failure(expected: "known heads and head size", found: "\(shape)")
    }
    let apart = try add("Unsqueeze", [x, integers([2])])
    let copies = try add("Expand", [apart, integers([1, 1, times, 1, 1])])
    return try add("Reshape", [copies, integers([0, groups * times, -1, width])])
  }

  /// What is added to the scores so that unseen keys weigh nothing; nil when every key is seen.
  fileprivate mutating func attentionBias(
    queries: Size, keys: Size, _ element: ElementType
  ) throws(GraphError) -> ValueID? {
    let mask = node.input(3)
    let isCausal = node.integer("is_causal", default: 0) != 0
    let isTruth = type(mask)?.element == .bool
    if let mask, !isCausal, !isTruth { return mask }
    if mask == nil, !isCausal { return nil }
    return try shared(
      element == .f32 ? "attention_bias" : "attention_bias.\(element)", [mask], sizes: isCausal ? [queries, keys] : []
    ) {
      context throws(GraphError) in
      var seen = mask
      if isCausal {
        seen = try context.causalMask(queries: queries, keys: keys)
        if isTruth { seen = try context.add("And", [mask, seen]) }
      }
      // In half precision the sum with a score must not reach infinity.
      let lowest: Float = element == .f16 ? -32752 : -.greatestFiniteMagnitude
      let kept = isTruth || mask == nil ? context.scalar(0, element) : mask
      return try context.add("Where", [seen, kept, context.scalar(lowest, element)])
    }
  }

  /// Whether a key is not after the query, `[queries, keys]`, both counted from 0.
  private mutating func causalMask(queries: Size, keys: Size) throws(GraphError) -> ValueID {
    try shared("causal_mask", sizes: [queries, keys]) { context throws(GraphError) in
      let rows = try context.range(of: context.operand(0), axis: 2)
      let columns = queries == keys ? rows : try context.range(of: context.operand(1), axis: 2)
      let next = try context.add("Add", [rows, context.integerScalar(1)])
      let limits = try context.add("Unsqueeze", [next, context.integers([1])])
      return try context.add("Less", [columns, limits])
    }
  }

  /// 0, 1, 2 … up to the extent of an axis.
  private mutating func range(of x: ValueID, axis: Int) throws(GraphError) -> ValueID {
    let extent = try add("Shape", [x], ["start": .integer(axis), "end": .integer(axis + 1)])
    let count = try add("Squeeze", [extent, integers([0])])
    return try add("Range", [integerScalar(0), count, integerScalar(1)])
  }
}
