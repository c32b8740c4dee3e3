import ModelGraph
import PollardBase
import TensorStorage

// Attention of the domain com.microsoft, as ONNX Runtime's ContribOperators.md describes it. Keys that a mask of integers forbids get
// `mask_filter_value` added to their scores: they weigh little, not nothing.

/// Attention with its projections: `[batch, positions, width]` by one matrix `[width, Q | K | V]`.
func evaluateFusedAttention(_ context: EvaluationContext) throws -> [Tensor] {
  let input = try context.tensor(0)
  guard input.rank == 3 else { throw context.failure(expected: "[batch, positions, width]", found: "\(input.extents)") }
  let bias = try context.optionalTensor(2)
  var projected = try productWithMatrix(input, 1, transposed: false, context)
  if let bias { projected = try combine(projected, bias, "Add", context) }
  return try attentionOfProjections(
    projected, mask: 3, past: 4, bias: 5, hasPresent: context.node.outputs.count > 1, context)
}

/// The same with a quantised input and matrix.
func evaluateQuantizedAttention(_ context: EvaluationContext) throws -> [Tensor] {
  let sums = try quantizedProduct(0, 1, firstZero: 6, secondZero: 7, context)
  let real = context.memory.floatType
  let factors = try combine(
    converted(context.tensor(3), to: real, context), converted(context.tensor(4), to: real, context), "Mul", context)
  var projected = try combine(sums, factors, "Mul", context)
  projected = try combine(projected, converted(context.tensor(2), to: real, context), "Add", context)
  return try attentionOfProjections(
    projected, mask: 5, past: 8, bias: nil, hasPresent: context.node.outputs.count > 1, context)
}

private func attentionOfProjections(
  _ projected: Tensor, mask: Int, past pastSlot: Int, bias biasSlot: Int?, hasPresent: Bool,
  _ context: EvaluationContext
) throws -> [Tensor] {
  let node = context.node
  guard node.integer("do_rotary", default: 0) == 0, node.integer("past_present_share_buffer", default: 0) == 0 else {
    throw context.failure(.unsupported, expected: "no do_rotary and no past_present_share_buffer", found: "one of them")
  }
  let heads = node.integer("num_heads", default: 0)
  guard projected.rank == 3, projected.extents[2] % 3 == 0 || node.integers("qkv_hidden_sizes") != nil else {
    throw context.failure(expected: "a matrix of three equal blocks", found: "\(projected.extents)")
  }
  let third = projected.extents[2] / 3
  let stated = node.integers("qkv_hidden_sizes") ?? []
  let sizes = stated.isEmpty ? [third, third, third] : stated
  guard sizes.count == 3, sizes.allSatisfy({ $0 >= 0 && $0 <= projected.extents[2] }),
    sizes.reduce(0, +) == projected.extents[2], heads > 0
  else {
    throw context.failure(expected: "three widths that add up to \(projected.extents[2])", found: "\(sizes)")
  }
  var parts: [Tensor] = []
  var start = 0
  for size in sizes {
    parts.append(try projected.sliced(axis: 2, start: start, count: size).split(heads: heads, 1, context))
    start += size
  }
  var past = 0
  if let cache = try context.optionalTensor(pastSlot) {
    guard cache.rank == 5, cache.extents[0] == 2 else {
      throw context.failure(expected: "a cache [2, batch, heads, positions, size]", found: "\(cache.extents)")
    }
    for part in 0..<2 {
      let half = cache.sliced(axis: 0, start: part, count: 1)
        .view(
          Array(cache.extents.dropFirst()), strides: Array(cache.strides.dropFirst()),
          offset: cache.offset + part * cache.strides[0])
      parts[part + 1] = try concatenated([half, parts[part + 1]], axis: 2, context)
    }
    past = cache.extents[3]
  }
  var attention = HeadAttention(query: parts[0], key: parts[1], value: parts[2])
  attention.scale = node.float("scale").flatMap { $0 == 0 ? nil : $0 }
  attention.isCausal = node.integer("unidirectional", default: 0) != 0
  attention.offsets = attention.offsets.map { _ in past }
  try attention.addFilter(mask, context)
  if let biasSlot { try attention.addBias(context.optionalTensor(biasSlot), context) }
  let output = try attention(context).0.joinedHeads(context)
  guard hasPresent else { return [output] }
  let halves = parts[1...].map { $0.view([1] + $0.extents, strides: [0] + $0.strides) }
  return [output, try concatenated(halves, axis: 0, context)]
}

extension HeadAttention {
  /// Adds numbers to the scores.
  mutating func addBias(_ numbers: Tensor?, _ context: EvaluationContext) throws {
    guard let numbers else { return }
    bias = try bias.map { try combine($0, numbers, "Add", context) } ?? numbers
  }

  /// Adds the filter value where a mask of integers forbids a key. The mask gives the valid keys of each sequence by their number `[batch]`,
  /// by ends and starts `[2 · batch]`, or one by one `[batch, keys]` or `[batch, queries, keys]`.
  mutating func addFilter(_ slot: Int, _ context: EvaluationContext) throws {
    guard let mask = try context.optionalTensor(slot) else { return }
    let numbers = try context.integers(slot)
    let filter = Double(context.node.float("mask_filter_value") ?? -10000)
    let (batch, queries, keys) = (query.extents[0], query.extents[2], key.extents[2])
    let extents: [Int]
    let allows: (Int, Int, Int) -> Bool
    switch mask.extents {
    case [batch, keys]:
      extents = [batch, 1, 1, keys]
      allows = { sequence, _, key in numbers[sequence * keys + key] > 0 }
    case [batch]:
      extents = [batch, 1, 1, keys]
      allows = { sequence, _, key in key < numbers[sequence] }
    case [2 * batch]:
      extents = [batch, 1, 1, keys]
      allows = { sequence, _, key in key < numbers[sequence] && key >= numbers[batch + sequence] }
    case [3 * batch + 2]:
      extents = [batch, 1, 1, keys]
      allows = { sequence, _, key in key < numbers[sequence] }
    case [batch, queries, keys]:
      extents = [batch, 1, queries, keys]
      allows = { sequence, query, key in numbers[(sequence * queries + query) * keys + key] > 0 }
    default:
      throw context.failure(
        .unsupported, expected: "a mask for \(batch) sequences of \(keys) keys", found: "\(mask.extents)")
    }
    try context.checkSize([wide] + extents)
    var values: [Double] = []
    for sequence in 0..<batch {
      for query in 0..<extents[2] {
        for key in 0..<keys { values.append(allows(sequence, query, key) ? 0 : filter) }
      }
    }
    try addBias(converted(Tensor(doubles: values, extents: extents), to: query.type, context), context)
  }
}

/// Attention of given queries, keys and values, joined or packed, after a bias for them.
func evaluateMultiHeadAttention(_ context: EvaluationContext) throws -> [Tensor] {
  let node = context.node
  let heads = node.integer("num_heads", default: 0)
  guard !context.has(8), !context.has(9) else {
    throw context.failure(.unsupported, expected: "a cache that grows", found: "past_sequence_length or beams")
  }
  let first = try context.tensor(0)
  var (q, k, v): (Tensor, Tensor, Tensor)
  var keysHaveBias = true
  if first.rank == 5 {
    guard first.extents[3] == 3 else { throw context.failure(expected: "[B, S, N, 3, H]", found: "\(first.extents)") }
    (q, k, v) = (packed(first, 0), packed(first, 1), packed(first, 2))
  } else {
    q = try first.split(heads: heads, 0, context)
    let second = try context.tensor(1)
    switch second.rank {
    case 5:
      guard second.extents[3] == 2 else {
        throw context.failure(expected: "[B, L, N, 2, H]", found: "\(second.extents)")
      }
      (k, v) = (packed(second, 0), packed(second, 1))
    case 4:
      (k, v) = (second, try context.tensor(2))
      keysHaveBias = false
    default:
      k = try second.split(heads: heads, 1, context)
      v = try context.tensor(2).split(heads: heads, 2, context)
    }
  }
  if let bias = try context.optionalTensor(3) {
    guard q.rank == 4, v.rank == 4, bias.extents == [2 * q.extents[1] * q.extents[3] + q.extents[1] * v.extents[3]]
    else {
      throw context.failure(expected: "a bias for queries, keys and values", found: "\(bias.extents)")
    }
    let width = q.extents[1] * q.extents[3]
    func part(_ start: Int, _ size: Int) -> Tensor {
      bias.sliced(axis: 0, start: start, count: q.extents[1] * size)
        .reshaped([q.extents[1], 1, size], context.memory)
    }
    q = try combine(q, part(0, q.extents[3]), "Add", context)
    if keysHaveBias {
      k = try combine(k, part(width, q.extents[3]), "Add", context)
      v = try combine(v, part(2 * width, v.extents[3]), "Add", context)
    }
  }
  var past = 0
  if let pastKey = try context.optionalTensor(6), let pastValue = try context.optionalTensor(7) {
    k = try concatenated([pastKey, k], axis: 2, context)
    v = try concatenated([pastValue, v], axis: 2, context)
    past = pastKey.extents[2]
  }
  var attention = HeadAttention(query: q, key: k, value: v)
  attention.scale = node.float("scale").flatMap { $0 == 0 ? nil : $0 }
  attention.isCausal = node.integer("unidirectional", default: 0) != 0
  attention.offsets = attention.offsets.map { _ in past }
  guard q.rank == 4, k.rank == 4 else { throw context.failure(expected: "queries and keys", found: "\(k.extents)") }
  try attention.addFilter(4, context)
  try attention.addBias(context.optionalTensor(5), context)
  let wantsScores = node.outputs.count > 3 && node.outputs[3] != nil
  let (result, scores) = try attention(context, scores: wantsScores ? .scaled : nil)
  return [result.joinedHeads(context), k, v] + (scores.map { [$0] } ?? [])
}

/// One of the parts of `[B, S, N, parts, H]`, as `[B, N, S, H]`.
private func packed(_ x: Tensor, _ part: Int) -> Tensor {
  let y = x.sliced(axis: 3, start: part, count: 1)
  let axes = [0, 2, 1, 4]
  return y.view(axes.map { y.extents[$0] }, strides: axes.map { y.strides[$0] })
}

/// Attention of query heads that share key and value heads, with caches that may be longer than what is in them.
func evaluateGroupQueryAttention(_ context: EvaluationContext) throws -> [Tensor] {
  let node = context.node
  let (heads, groups) = (node.integer("num_heads", default: 0), node.integer("kv_num_heads", default: 0))
  for (slot, name) in [(12, "k_scale"), (13, "v_scale"), (14, "q_norm_weight"), (15, "k_norm_weight")]
  where context.has(slot) {
    throw context.failure(.unsupported, expected: "no operand \"\(name)\"", found: "one")
  }
  let first = try context.tensor(0)
  var (q, k, v): (Tensor, Tensor, Tensor)
  if context.has(1) {
    q = try first.split(heads: heads, 0, context)
    k = try context.tensor(1).split(heads: groups, 1, context)
    v = try context.tensor(2).split(heads: groups, 2, context)
  } else {
    guard heads > 0, groups > 0, heads < 1 << 31, groups < 1 << 31 else {
      throw context.failure(expected: "numbers of heads", found: "\(heads) and \(groups)")
    }
    let all = try first.split(heads: heads + 2 * groups, 0, context)
    q = all.sliced(axis: 1, start: 0, count: heads)
    k = all.sliced(axis: 1, start: heads, count: groups)
    v = all.sliced(axis: 1, start: heads + groups, count: groups)
  }
  let (batch, queries, size) = (q.extents[0], q.extents[2], q.extents[3])
  let ends = try context.integers(5)
  let total = try context.integer(6)
  guard ends.count == batch, total >= queries, ends.allSatisfy({ $0 >= 0 && $0 < total }) else {
    throw context.failure(expected: "\(batch) lengths below \(total)", found: "\(ends)")
  }
  let isFirst = queries == total
  let lengths = ends.map { $0 + 1 }
  let offsets = lengths.map { isFirst ? 0 : $0 - queries }
  guard offsets.allSatisfy({ $0 >= 0 }) else {
    throw context.failure(expected: "lengths of \(queries) or more", found: "\(lengths)")
  }
  if node.integer("do_rotary", default: 0) != 0 {
    let given = context.has(9) ? try context.integers(9) : nil
    let numbers = given ?? offsets.flatMap { offset in (0..<queries).map { offset + $0 } }
    guard numbers.count == batch * queries else {
      throw context.failure(expected: "\(batch * queries) positions", found: "\(numbers.count)")
    }
    let interleaved = node.integer("rotary_interleaved", default: 0) != 0
    let places = (places: numbers, extents: [batch, queries])
    let (cosines, sines) = (try angles(7, q, places, context), try angles(8, q, places, context))
    let turned = 2 * cosines.extents[2]
    q = try rotated(q, cosines: cosines, sines: sines, isInterleaved: interleaved, size: turned, context)
    k = try rotated(k, cosines: cosines, sines: sines, isInterleaved: interleaved, size: turned, context)
  }
  let caches = [try context.optionalTensor(3), try context.optionalTensor(4)]
  let room = max(caches[0].map { $0.rank == 4 ? $0.extents[2] : 0 } ?? 0, total)
  let keys = try cache(caches[0], k, room, offsets, context)
  let values = try cache(caches[1], v, room, offsets, context)
  var attention = HeadAttention(
    query: q, key: keys.sliced(axis: 2, start: 0, count: total), value: values.sliced(axis: 2, start: 0, count: total))
  attention.scale = node.float("scale").flatMap { $0 == 0 ? nil : $0 }
  attention.softcap = node.float("softcap") ?? 0
  attention.isCausal = node.integer("causal", default: 1) != 0
  attention.offsets = offsets
  if Set(lengths) != [total] { attention.lengths = lengths }
  let window = node.integer("local_window_size", default: -1)
  if window > 0 { attention.left = min(window, 1 << 31) - 1 }
  try attention.addBias(trimmed(context.optionalTensor(10), to: total), context)
  if let sinks = try context.optionalTensor(11) {
    attention.sinks = sinks.floats()
  } else if node.integer("smooth_softmax", default: 0) > 0 {
    attention.sinks = Array(repeating: 0, count: heads)
  }
  guard size > 0, node.outputs.count < 4 || node.outputs[3] == nil else {
    throw context.failure(.unsupported, expected: "three results", found: "\(node.outputs.count)")
  }
  return [try attention(context).0.joinedHeads(context), keys, values]
}

/// The first numbers of each row of a bias over more keys than there are.
private func trimmed(_ bias: Tensor?, to keys: Int) -> Tensor? {
  bias.map { $0.rank > 0 && $0.extents[$0.rank - 1] > keys ? $0.sliced(axis: $0.rank - 1, start: 0, count: keys) : $0 }
}

/// A cache `[batch, groups, positions, size]` with new positions after those that are valid; zeros where there is nothing.
private func cache(
  _ past: Tensor?, _ new: Tensor, _ room: Int, _ offsets: [Int], _ context: EvaluationContext
) throws -> Tensor {
  let extents = [new.extents[0], new.extents[1], room, new.extents[3]]
  let zero = try converted(Tensor(floats: [0], extents: []), to: new.type, context)
  let result = try zero.broadcast(to: extents).copied(context.memory)
  if let past {
    var fitting = past.extents
    if fitting.count == 4 { fitting[2] = room }
    guard fitting == extents, past.type == new.type, past.extents[2] <= room else {
      throw context.failure(expected: "a cache for \(extents)", found: "\(past.extents)")
    }
    copyElements(of: past, to: result.sliced(axis: 2, start: 0, count: past.extents[2]), context.pool)
  }
  for (sequence, offset) in offsets.enumerated() {
    guard offset + new.extents[2] <= room else {
      throw context.failure(expected: "room for \(offset + new.extents[2]) positions", found: "\(room)")
    }
    copyElements(
      of: new.sliced(axis: 0, start: sequence, count: 1),
      to: result.sliced(axis: 0, start: sequence, count: 1).sliced(axis: 2, start: offset, count: new.extents[2]),
      context.pool)
  }
  return result
}

/// Rotary embedding with its operands in another order: positions before the caches; one position is where each sequence begins.
func evaluateFusedRotaryEmbedding(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  guard node.integer("is_packed_batching", default: 0) == 0 else {
    throw context.failure(.unsupported, expected: "no is_packed_batching", found: "1")
  }
  let operand = try context.tensor(0)
  let cache = try context.tensor(2)
  guard cache.rank == 2 else { throw context.failure(expected: "a cache [positions, half]", found: "\(cache.extents)") }
  var heads = node.integer("num_heads", default: 0)
  let stated = node.integer("rotary_embedding_dim", default: 0)
  if operand.rank == 3, heads == 0, cache.extents[1] > 0 { heads = operand.extents[2] / (2 * cache.extents[1]) }
  let isJoined = operand.rank == 3
  let x = isJoined ? try operand.split(heads: heads, 0, context) : operand
  guard x.rank == 4 else { throw context.failure(expected: "an operand of rank 3 or 4", found: "\(x.extents)") }
  let (batch, places) = (x.extents[0], x.extents[2])
  var numbers = try context.integers(1)
  if numbers.count == 1, batch * places != 1 {
    let start = numbers[0]
    guard start >= 0, start < 1 << 40 else { throw context.failure(expected: "a position", found: "\(start)") }
    numbers = (0..<batch).flatMap { _ in (0..<places).map { start + $0 } }
  }
  guard numbers.count == batch * places else {
    throw context.failure(expected: "\(batch * places) positions", found: "\(numbers.count)")
  }
  let named = (places: numbers, extents: [batch, places])
  let result = try rotated(
    x, cosines: angles(2, x, named, context), sines: angles(3, x, named, context),
    isInterleaved: node.integer("interleaved", default: 0) != 0, size: stated == 0 ? nil : stated, context)
  return isJoined ? result.joinedHeads(context) : result
}
