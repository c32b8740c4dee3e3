import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Attention of heads, in all the forms that operators of several domains have.
///
/// `s = cap(q · k · scale) + bias` for the keys that a query may see; weights `e^(s - max) / Σ e^(s - max)`; results `Σ weight · v`. Each
/// head is computed by itself; sums run over ascending positions. A query that sees no key gives zeros.
struct HeadAttention {
  /// `[batch, heads, queries, size]`
  var query: Tensor
  /// `[batch, groups, keys, size]`; query head `h` reads group `h / (heads / groups)`.
  var key: Tensor
  /// `[batch, groups, keys, width]`
  var value: Tensor
  /// The factor of the dot products; nil for `1 / √size`.
  var scale: Float?
  /// The bound of scores; 0 for none.
  var softcap: Float = 0
  /// Numbers added to scores; broadcasts to `[batch, heads, queries, keys]`.
  var bias: Tensor?
  /// Truth values that allow keys; broadcasts likewise.
  var mask: Tensor?
  /// Query `i` of a sequence sees keys up to `i + offsets[sequence]`.
  var isCausal = false
  /// Keys before the first query, for each sequence.
  var offsets: [Int]
  /// Valid keys of each sequence; nil for all.
  var lengths: [Int]?
  /// Query `i` sees keys from `i + offset - left` on; nil for all.
  var left: Int?
  /// Query `i` sees keys up to `i + offset + right`; nil for all.
  var right: Int?
  /// A number for each head that takes part in the sum of its weights without a value.
  var sinks: [Float]?

  /// The score that an operator gives beside its result.
  enum Score: Int {
    case scaled, capped, biased, weight
  }

  init(query: Tensor, key: Tensor, value: Tensor) {
    (self.query, self.key, self.value) = (query, key, value)
    offsets = Array(repeating: 0, count: query.extents.first ?? 0)
  }

  /// The result `[batch, heads, queries, width]`, in memory as `[batch, queries, heads, width]`, and the wanted scores.
  func callAsFunction(_ context: EvaluationContext, scores wanted: Score? = nil) throws -> (Tensor, scores: Tensor?) {
    try check(context)
    let (batch, heads, queries) = (query.extents[0], query.extents[1], query.extents[2])
    let shape = [batch, heads, queries, key.extents[2]]
    let result = try context.memory.tensor(query.type, [batch, queries, heads, value.extents[3]])
      .transposed([0, 2, 1, 3])
    let scores = try wanted.map { _ in try context.memory.tensor(query.type, shape) }
    if result.extents.contains(0), scores?.extents.contains(0) ?? true { return (result, scores) }
    let isUniform = Set(offsets).count <= 1 && lengths == nil && right == nil
    let isPlain = query.type == .f32 && sinks == nil && wanted == nil
    var mask = self.mask
    let usesRules = isPlain && isUniform && (left == nil || isCausal)
    if !usesRules, isCausal || lengths != nil || left != nil || right != nil {
      let rules = try visibility(shape, context)
      mask = try mask.map { try combine($0, rules, "And", context) } ?? rules
    }
    let allowed = try mask.map { try rows($0, shape, context) }
    let added = try bias.map { try rows($0, shape, context) }
    if isPlain {
      runKernel(result, allowed, added, usesRules, context)
    } else if query.type == .f32 {
      run(Float.self, result, scores, wanted, allowed, added, context)
    } else {
      run(Double.self, result, scores, wanted, allowed, added, context)
    }
    return (result, scores)
  }

  private func check(_ context: EvaluationContext) throws {
    guard query.type == .f32 || query.type == .f64, key.type == query.type, value.type == query.type,
      bias.map({ $0.type == query.type }) ?? true, mask.map({ $0.type == .bool }) ?? true
    else {
      throw context.failure(
        .typeMismatch, expected: "F32 or F64 in Q, K and V, and a mask of BOOL or of that type",
        found: "\(query.type), \(key.type), \(value.type)\(bias.map { " and \($0.type)" } ?? "")")
    }
    guard query.rank == 4, key.rank == 4, value.rank == 4, key.extents[0] == query.extents[0],
      value.extents[..<3] == key.extents[..<3], key.extents[3] == query.extents[3],
      key.extents[1] > 0 ? query.extents[1] % key.extents[1] == 0 : query.extents[1] == 0,
      sinks.map({ $0.count == query.extents[1] }) ?? true
    else {
      throw context.failure(
        expected: "Q, K and V of one batch, equal groups of heads, one head size and as many keys as values",
        found: "\(query.extents), \(key.extents), \(value.extents)")
    }
    guard offsets.count == query.extents[0], lengths.map({ $0.count == query.extents[0] }) ?? true else {
      throw context.failure(expected: "\(query.extents[0]) lengths", found: "\(lengths ?? offsets)")
    }
  }

  /// Which keys the rules of position allow, as `[batch, 1, queries, keys]`.
  private func visibility(_ shape: [Int], _ context: EvaluationContext) throws -> Tensor {
    let result = try context.memory.tensor(.bool, [shape[0], 1, shape[2], shape[3]])
    nonisolated(unsafe) let to = result.written(UInt8.self)
    forEachStep(shape[0] * shape[2], size: shape[3], context.pool) { row in
      let (sequence, query) = row.quotientAndRemainder(dividingBy: max(shape[2], 1))
      let (place, overflow) = offsets[sequence].addingReportingOverflow(query)
      let position = overflow ? -1 : place
      var end = shape[3]
      if let lengths { end = min(end, max(lengths[sequence], 0)) }
      if isCausal { end = min(end, max(position + 1, 0)) }
      if let right, position < shape[3] - right { end = min(end, max(position + right + 1, 0)) }
      var begin = 0
      if let left, position > left { begin = position - left }
      for key in 0..<shape[3] { to[row * shape[3] + key] = key >= begin && key < end ? 1 : 0 }
    }
    return result
  }

  /// A mask or bias as a view `[batch, heads, queries, keys]` whose keys are neighbours.
  private func rows(_ mask: Tensor, _ shape: [Int], _ context: EvaluationContext) throws -> Tensor {
    guard mask.rank <= 4, try context.broadcast([mask.extents, shape]) == shape else {
      throw context.failure(expected: "a mask that broadcasts to \(shape)", found: "\(mask.extents)")
    }
    var rows = mask
    if rows.rank == 0 { rows = rows.view([1], strides: [0]) }
    if rows.extents[rows.rank - 1] != shape[3] || rows.strides[rows.rank - 1] != 1 {
      let extents = Array(rows.extents.dropLast()) + [shape[3]]
      try context.checkView(rows.type, extents)
      rows = rows.broadcast(to: extents).contiguous(context.memory)
    }
    return rows.broadcast(to: shape)
  }

  private func runKernel(
    _ result: Tensor, _ mask: Tensor?, _ bias: Tensor?, _ usesRules: Bool, _ context: EvaluationContext
  ) {
    let (size, width) = (query.extents[3], value.extents[3])
    var attention = TensorKernels.Attention(
      batch: query.extents[0], queryHeads: query.extents[1], keyValueHeads: key.extents[1], queries: query.extents[2],
      keys: key.extents[2], headDimension: size, valueDimension: width, scale: scale ?? 1 / Float(size).squareRoot())
    attention.softcap = softcap
    if usesRules, isCausal {
      attention.causalOffset = offsets.first ?? 0
      if let left { attention.window = left + 1 }
    }
    attention.mask = mask.map { HeadsView(of: $0, UInt8.self) }
    attention.bias = bias.map { HeadsView(of: $0, Float.self) }
    let operands = [query, key, value].map {
      $0.strides[3] == 1 || $0.extents[3] <= 1 ? $0 : $0.contiguous(context.memory)
    }
    attention(
      query: HeadsView(of: operands[0], Float.self), key: HeadsView(of: operands[1], Float.self),
      value: HeadsView(of: operands[2], Float.self),
      output: HeadsView(
        base: result.written(Float.self), batchStride: result.strides[0], headStride: result.strides[1],
        positionStride: result.strides[2]),
      pool: context.pool)
    withExtendedLifetime((operands, mask, bias)) {}
  }

  /// One query at a time, for what the kernel does not give.
  private func run<Element: FloatElement>(
    _ type: Element.Type, _ result: Tensor, _ scores: Tensor?, _ wanted: Score?, _ mask: Tensor?, _ bias: Tensor?,
    _ context: EvaluationContext
  ) {
    let (heads, queries, size) = (query.extents[1], query.extents[2], query.extents[3])
    let (keys, width) = (key.extents[2], value.extents[3])
    let ratio = heads / max(key.extents[1], 1)
    let factor = scale.map { Element($0) } ?? 1 / Element(size).squareRoot()
    nonisolated(unsafe) let (x, y, z) = (query.pointer(type), key.pointer(type), value.pointer(type))
    nonisolated(unsafe) let output = result.written(type)
    nonisolated(unsafe) let shown = scores.map { $0.written(type) }
    nonisolated(unsafe) let added = bias.map { $0.pointer(type) }
    nonisolated(unsafe) let allowed = mask.map { $0.pointer(UInt8.self) }
    forEachStep(query.extents[0] * heads * queries, size: keys * (size + width), context.pool) { row in
      let (rest, position) = row.quotientAndRemainder(dividingBy: queries)
      let (sequence, head) = rest.quotientAndRemainder(dividingBy: heads)
      let vector = x + place(query, sequence, head, position)
      let (maskPlace, biasPlace) = (place(mask, sequence, head, position), place(bias, sequence, head, position))
      var row = Array(repeating: -Element.infinity, count: keys)
      let target = shown.map { $0 + ((sequence * heads + head) * queries + position) * keys }
      for index in 0..<keys {
        let isAllowed = allowed.map { $0[maskPlace + index] != 0 } ?? true
        if !isAllowed, wanted == nil { continue }
        let other = y + place(key, sequence, head / ratio, index)
        var sum = Element(0)
        for step in 0..<size { sum.addProduct(vector[step * query.strides[3]], other[step * key.strides[3]]) }
        sum *= factor
        if wanted == .scaled { target?[index] = sum }
        if softcap > 0 {
          sum = Element(softcap) * Element(hyperbolicTangent(Double(sum / Element(softcap))))
        }
        if wanted == .capped { target?[index] = sum }
        if let added { sum += added[biasPlace + index] }
        if !isAllowed { sum = -.infinity }
        if wanted == .biased { target?[index] = sum }
        row[index] = sum
      }
      var most = row.max() ?? -.infinity
      if let sinks { most = max(most, Element(sinks[head])) }
      var total = sinks.map { Element(exponential(Double(Element($0[head]) - most))) } ?? 0
      for index in row.indices {
        row[index] = row[index] == -.infinity ? 0 : Element(exponential(Double(row[index] - most)))
        total += row[index]
      }
      if total == 0 { total = 1 }
      for index in row.indices { row[index] /= total }
      if wanted == .weight, let target { for index in row.indices { target[index] = row[index] } }
      let to = output + place(result, sequence, head, position)
      for column in 0..<width {
        var sum = Element(0)
        for index in row.indices where row[index] != 0 {
          sum.addProduct(row[index], z[place(value, sequence, head / ratio, index) + column * value.strides[3]])
        }
        to[column] = sum
      }
    }
    withExtendedLifetime((self, mask, bias)) {}
  }
}

/// Where a vector lies in a tensor `[batch, heads, positions, size]`.
private func place(_ tensor: Tensor?, _ sequence: Int, _ head: Int, _ position: Int) -> Int {
  tensor.map { sequence * $0.strides[0] + head * $0.strides[1] + position * $0.strides[2] } ?? 0
}

extension HeadsView {
  /// The vectors of a tensor `[batch, heads, positions, size]`.
  fileprivate init<Element: TensorElement>(of tensor: Tensor, _ type: Element.Type)
  where Pointer == UnsafePointer<Element> {
    self.init(
      base: tensor.pointer(type), batchStride: tensor.strides[0], headStride: tensor.strides[1],
      positionStride: tensor.strides[2])
  }
}

extension Tensor {
  /// `[batch, positions, heads · size]` as `[batch, heads, positions, size]`.
  func split(heads: Int, _ slot: Int, _ context: EvaluationContext) throws -> Tensor {
    guard rank == 3, heads > 0, extents[2] % heads == 0 else {
      throw context.failure(
        expected: "[batch, positions, width] with a width for \(heads) heads in operand \(slot)", found: "\(extents)")
    }
    let split = [extents[0], extents[1], heads, extents[2] / heads]
    try context.checkView(type, split)
    return reshaped(split, context.memory).transposed([0, 2, 1, 3])
  }

  /// `[batch, heads, positions, size]` as `[batch, positions, heads · size]`.
  func joinedHeads(_ context: EvaluationContext) -> Tensor {
    transposed([0, 2, 1, 3]).reshaped([extents[0], extents[2], extents[1] * extents[3]], context.memory)
  }
}
