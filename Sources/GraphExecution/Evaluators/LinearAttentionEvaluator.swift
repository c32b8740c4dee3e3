import ModelGraph
import PollardBase
import TensorStorage

/// Attention by a state that each position changes and reads: `S ← e^g · S + k ⊗ u`, `o = scale · qᵀS`.
///
/// The update `u` is `v`, or `β · (v - Sᵀk)` under the delta rules. Each head of keys and values is computed by itself, in double
/// precision, over ascending positions; sums run over ascending k. Query head h reads the state of head `h / (heads / groups)`.
/// - query: `[B, T, heads · K]`; key, decay: `[B, T, groups · K]`, decay also `[B, T, groups]`; value: `[B, T, groups · V]`; beta:
///   `[B, T, groups]` or `[B, T, 1]`; states: `[B, groups, K, V]`; result: `[B, T, heads · V]`.
/// - Source: ONNX LinearAttention-27.
func evaluateLinearAttention(_ context: EvaluationContext) throws -> [Tensor] {
  let form = try LinearAttentionForm(context)
  try form.checkOptional()
  let (result, state) = try form.evaluate()
  let query = try context.tensor(0)
  let past = try context.optionalTensor(3) ?? query
  return [
    try converted(result, to: query.type, context).rounded(to: query.declaredType, context.memory),
    try converted(state, to: past.type, context).rounded(to: past.declaredType, context.memory),
  ]
}

/// The operands of one application, checked, in double precision.
private struct LinearAttentionForm {
  let context: EvaluationContext
  let query: Tensor
  let key: Tensor
  let value: Tensor
  let past: Tensor?
  let decay: Tensor?
  let beta: Tensor?
  let heads: Int
  let groups: Int
  /// Extents: batch, positions, elements of a key, elements of a value.
  let (batch, length, width, depth): (Int, Int, Int, Int)

  init(_ context: EvaluationContext) throws {
    self.context = context
    func wide(_ tensor: Tensor) throws -> Tensor {
      guard tensor.type.isFloatingPoint else {
        throw context.failure(.typeMismatch, expected: "floating-point numbers", found: "\(tensor.type)")
      }
      return try converted(tensor, to: .f64, context).contiguous(context.memory)
    }
    func wide(_ slot: Int) throws -> Tensor? { try context.optionalTensor(slot).map { try wide($0) } }
    query = try wide(context.tensor(0))
    key = try wide(context.tensor(1))
    value = try wide(context.tensor(2))
    past = try wide(3)
    decay = try wide(4)
    beta = try wide(5)
    let node = context.node
    heads = node.integer("q_num_heads", default: 0)
    groups = node.integer("kv_num_heads", default: 0)
    let rule = node.string("update_rule") ?? "gated_delta"
    guard let (usesDecay, usesBeta) = Self.rules[rule] else {
      throw context.failure(
        .unsupported, expected: "update_rule \(Self.rules.keys.sorted().joined(separator: ", "))", found: rule)
    }
    guard (decay != nil) == usesDecay, (beta != nil) == usesBeta else {
      throw context.failure(
        .illFormed,
        expected: "\(usesDecay ? "a" : "no") decay and \(usesBeta ? "a" : "no") beta under the rule \(rule)",
        found: "\(decay == nil ? "no" : "a") decay and \(beta == nil ? "no" : "a") beta")
    }
    guard heads > 0, groups > 0, heads % groups == 0, query.rank == 3, key.rank == 3, value.rank == 3,
      key.extents[..<2] == query.extents[..<2], value.extents[..<2] == query.extents[..<2],
      query.extents[2] % heads == 0, key.extents[2] % groups == 0, value.extents[2] % groups == 0,
      query.extents[2] / heads == key.extents[2] / groups
    else {
      throw context.failure(
        expected: "Q, K and V of \(heads) heads in \(groups) groups, of one batch, length and head size",
        found: "\(query.extents), \(key.extents) and \(value.extents)")
    }
    (batch, length) = (query.extents[0], query.extents[1])
    (width, depth) = (query.extents[2] / heads, value.extents[2] / groups)
  }

  /// Checks the operands that need not be there.
  func checkOptional() throws {
    let steps = [batch, length]
    guard past.map({ $0.extents == [batch, groups, width, depth] }) ?? true,
      decay.map({ $0.extents == steps + [groups] || $0.extents == steps + [groups * width] }) ?? true,
      beta.map({ $0.extents == steps + [groups] || $0.extents == steps + [1] }) ?? true
    else {
      throw context.failure(
        expected: "a past [\(batch), \(groups), \(width), \(depth)], a decay and a beta of \(groups) heads",
        found: [past, decay, beta].compactMap { $0.map { "\($0.extents)" } }.joined(separator: ", "))
    }
  }

  /// The factor of the results.
  private var scale: Double {
    let given = Double(context.node.float("scale") ?? 0)
    return given == 0 ? 1 / Double(width).squareRoot() : given
  }

  /// Whether a rule takes a decay and a beta.
  private static let rules: [String: (Bool, Bool)] = [
    "linear": (false, false), "gated": (true, false), "delta": (false, true), "gated_delta": (true, true),
  ]

  /// The result and the last state.
  func evaluate() throws -> (Tensor, Tensor) {
    let result = try context.memory.tensor(.f64, [batch, length, try context.elementCount([heads, depth])])
    let state = try context.memory.tensor(.f64, [batch, groups, width, depth])
    if let past { copyElements(of: past, to: state, context.pool) } else { state.fillWithZeros() }
    if depth == 0 || batch == 0 { return (result, state) }
    nonisolated(unsafe) let states = state.written(Double.self)
    nonisolated(unsafe) let results = result.written(Double.self)
    forEachStep(batch * groups, size: length * width * depth, context.pool) { place in
      let (sequence, group) = place.quotientAndRemainder(dividingBy: groups)
      run(sequence, group, states + place * width * depth, results)
    }
    withExtendedLifetime((query, key, value, decay, beta)) {}
    return (result, state)
  }

  /// One group of heads of one sequence.
  private func run(
    _ sequence: Int, _ group: Int, _ state: UnsafeMutablePointer<Double>, _ results: UnsafeMutablePointer<Double>
  ) {
    let (q, k, v) = (query.pointer(Double.self), key.pointer(Double.self), value.pointer(Double.self))
    let (share, scale) = (heads / groups, scale)
    var update = Array(repeating: 0.0, count: depth)
    for step in 0..<length {
      let row = sequence * length + step
      let keys = k + (row * groups + group) * width
      if let decay {
        let perHead = decay.extents[2] == groups && width != 1
        let gates = decay.pointer(Double.self) + row * decay.extents[2] + (perHead ? group : group * width)
        for i in 0..<width {
          let factor = exponential(gates[perHead ? 0 : i])
          for j in 0..<depth { state[i * depth + j] *= factor }
        }
      }
      for j in 0..<depth { update[j] = v[(row * groups + group) * depth + j] }
      if let beta {
        let rate = beta.pointer(Double.self)[row * beta.extents[2] + (beta.extents[2] == 1 ? 0 : group)]
        for j in 0..<depth {
          var found = 0.0
          for i in 0..<width { found += state[i * depth + j] * keys[i] }
          update[j] = rate * (update[j] - found)
        }
      }
      for i in 0..<width { for j in 0..<depth { state[i * depth + j] += keys[i] * update[j] } }
      for head in group * share..<(group + 1) * share {
        let queries = q + (row * heads + head) * width
        let to = results + (row * heads + head) * depth
        for j in 0..<depth {
          var sum = 0.0
          for i in 0..<width { sum += queries[i] * state[i * depth + j] }
          to[j] = scale * sum
        }
      }
    }
  }
}

/// A convolution of each channel over its past, with the last positions handed on: `yₜ = bias + Σⱼ wⱼ · xₜ₋ₖ₊₁₊ⱼ`, then SiLU if asked for.
///
/// Sums run over ascending j in double precision.
/// - x: `[B, C, L]`; weight: `[C, 1, k]`; bias: `[C]`; states: `[B, C, k - 1]`; y: `[B, C, L]`.
/// - Source: ONNX CausalConvWithState-27.
func evaluateCausalConvolution(_ context: EvaluationContext) throws -> [Tensor] {
  let (x, weight) = (try context.tensor(0), try context.tensor(1))
  let bias = try context.optionalTensor(2)
  let activation = context.node.string("activation") ?? "none"
  guard ["none", "silu", "swish"].contains(activation) else {
    throw context.failure(.unsupported, expected: "the activation none, silu or swish", found: activation)
  }
  guard x.rank == 3, weight.rank == 3, weight.extents[0] == x.extents[1], weight.extents[1] == 1, weight.extents[2] > 0,
    bias.map({ $0.extents == [x.extents[1]] }) ?? true
  else {
    throw context.failure(
      expected: "an input [B, C, L], a weight [C, 1, k] and a bias [C]",
      found: "\(x.extents), \(weight.extents)\(bias.map { " and \($0.extents)" } ?? "")")
  }
  let (batch, channels, length, size) = (x.extents[0], x.extents[1], x.extents[2], weight.extents[2])
  let past: Tensor
  if let given = try context.optionalTensor(3) {
    guard given.extents == [batch, channels, size - 1] else {
      throw context.failure(expected: "a state [\(batch), \(channels), \(size - 1)]", found: "\(given.extents)")
    }
    past = given
  } else {
    past = try context.memory.tensor(x.type, [batch, channels, size - 1])
    past.fillWithZeros()
  }
  let padded = try concatenated([past, x], axis: 2, context)
  let wide = try converted(padded, to: .f64, context).contiguous(context.memory)
  let (factors, offsets) = (weight.doubles(), bias?.doubles())
  let sums = try context.memory.tensor(.f64, x.extents)
  nonisolated(unsafe) let to = sums.written(Double.self)
  nonisolated(unsafe) let from = wide.pointer(Double.self)
  forEachStep(batch * channels, size: length * size, context.pool) { row in
    let channel = row % channels
    let start = from + row * (length + size - 1)
    for step in 0..<length {
      var sum = 0.0
      for j in 0..<size { sum += factors[channel * size + j] * start[step + j] }
      to[row * length + step] = sum + (offsets?[channel] ?? 0)
    }
  }
  withExtendedLifetime(wide) {}
  var result = try converted(sums, to: x.type, context).rounded(to: x.declaredType, context.memory)
  if activation != "none" { result = try applied("Swish", ["alpha": .float(1)], to: result, context) }
  return [result, padded.sliced(axis: 2, start: length, count: size - 1)]
}

extension EvaluatorTable {
  static let recurrences: [OperatorName: Evaluator] = [
    OperatorName("LinearAttention"): { try evaluateLinearAttention($0) },
    OperatorName("CausalConvWithState"): { try evaluateCausalConvolution($0) },
  ]
}
