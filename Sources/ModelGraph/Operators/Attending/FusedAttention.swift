import PollardBase
import TensorStorage

/// Projections to queries, keys and values in one matrix, and attention over them, as ONNX Runtime fuses them; also with 8-bit weights.
///
/// The columns of the matrix are the query heads, the key heads, the value heads, each contiguous.
struct FusedAttention: Operator {
  let name: OperatorName
  let isQuantized: Bool

  var requiredInputs: Int { isQuantized ? 5 : 2 }
  /// The slots of scales and zero points of the matrix, one for each column or one for all.
  private var columnOperands: [Int] { isQuantized ? [4, 7] : [] }
  private var cache: Int { isQuantized ? 8 : 4 }

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`q | k | v = x W + b`, then `y = softmax(scale · q kᵀ + mask) v` per head.",
      shapes:
        "x: `[B, S, C]`; W: `[C, NH + NH + NHv]`; b: its columns; mask: any; past, present: `[2, B, N, ·, H]`; bias of scores: `[B, N, S, T]`; y: `[B, S, NHv]`.",
      axes:
        "C is contracted; W's columns are the sum of N × H, N × H, N × Hv; H and what the cache holds are pinned; N passes.",
      zeros: "A column of values that is zero stays so.",
      source: isQuantized ? "ONNX Runtime, com.microsoft.QAttention-1" : "ONNX Runtime, com.microsoft.Attention-1",
      family: "Fused attention")
  }

  static let all = [
    FusedAttention(name: OperatorName("Attention", domain: "com.microsoft"), isQuantized: false),
    FusedAttention(name: OperatorName("QAttention", domain: "com.microsoft"), isQuantized: true),
  ]

  /// The widths of the three blocks of columns.
  private func widths(_ node: Node, _ total: Int?) -> [Int]? {
    if let given = node.integers("qkv_hidden_sizes"), given.count == 3 {
      return given.allSatisfy { $0 > 0 && $0 < 1 << 31 } ? given : nil
    }
    guard let total, total % 3 == 0 else { return nil }
    return Array(repeating: total / 3, count: 3)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = isQuantized ? context.element(3) ?? .f32 : context.element(0) ?? .f32
    guard let x = context.shape(0), let matrix = context.shape(1), x.count == 3, matrix.count == 2 else {
      return context.set(0, ValueType(element, nil))
    }
    let heads = context.node.integer("num_heads", default: 0)
    guard let widths = widths(context.node, matrix[1].constant), heads > 0, widths.allSatisfy({ $0 % heads == 0 })
    else {
      throw context.failure(expected: "heads that divide three blocks of columns", found: "\(matrix), \(heads) heads")
    }
    if let total = matrix[1].constant, widths.reduce(0, +) != total {
      throw context.failure(expected: "\(total) columns", found: "\(widths)")
    }
    context.set(0, ValueType(element, [x[0], x[1], Size(widths[2])]))
    let past = context.shape(cache).flatMap { $0.count == 5 ? $0[3] : nil }
    let total = context.node.input(cache) == nil ? x[1] : past?.adding(x[1])
    context.set(
      1, ValueType(element, total.map { [2, x[0], Size(heads), $0, Size(widths[1] / heads)] }))
  }

  func relate(_ context: inout AxisContext) {
    let heads = context.node.integer("num_heads", default: 0)
    guard context.rank(0) == 3, context.rank(1) == 2, context.outputRank(0) == 3, heads > 0,
      let widths = widths(context.node, context.size(.input(1, 1))?.constant),
      widths.allSatisfy({ $0 % heads == 0 })
    else { return }
    context.contract(.input(0, 2), .input(1, 0))
    context.unify(.input(0, 0), .output(0, 0))
    context.unify(.input(0, 1), .output(0, 1))
    context.pin(.input(0, 1), .softmax)
    let n = context.factor(Size(heads))
    let h = context.factor(Size(widths[0] / heads))
    let hv = context.factor(Size(widths[2] / heads))
    context.unify(.input(1, 1), sumOf: [[n, h], [n, h], [n, hv]])
    context.pin(term: h, .implicitScale)
    context.unify([.output(0, 2)], [n, hv])
    // Without sizes of their own the blocks must stay equally wide.
    if isQuantized { context.pin(term: hv, .implicitScale) }
    for slot in [2] + columnOperands where context.rank(slot) == 1 {
      if context.size(.input(slot, 0)) == Size(1) { continue }
      context.unify(.input(slot, 0), .input(1, 1))
    }
    if context.rank(cache) == 5 {
      context.unify([.input(cache, 2)], [n])
      context.unify([.input(cache, 4)], [h])
      for axis in [0, 1, 3] { context.pin(.input(cache, axis), .softmax) }
      // One size for keys and values.
      context.pin(term: hv, .implicitScale)
    }
    if context.outputRank(1) == 5 {
      context.unify([.output(1, 2)], [n])
      context.unify([.output(1, 4)], [h])
      for axis in [0, 1, 3] { context.pin(.output(1, axis), .softmax) }
      context.pin(term: hv, .implicitScale)
    }
    if !isQuantized, context.rank(5) == 4 {
      for axis in [0, 2, 3] { context.pin(.input(5, axis), .softmax) }
      if context.size(.input(5, 1)) != Size(1) {
        context.unify([.input(5, 1)], [n])
      } else {
        context.pin(.input(5, 1), .softmax)
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard !isQuantized, let weight = context.weight(1), let x = try context.state(0), weight.shape.rank == 2,
      let shape = context.resultShape(), let widths = widths(context.node, weight.shape[1]),
      var state = try MatrixProduct().linear(x, weight, &context)
    else { return }
    if context.node.input(2) != nil {
      guard let bias = try context.state(2) else { return }
      let sum = TokenState.combined([state, bias], shape: state.shape) { parts in
        let worst = max(parts[0].0, parts[1].0)
        return worst == .constant ? (.constant, parts[0].1 + parts[1].1) : (worst, 0)
      }
      guard let sum else { return }
      state = sum
    }
    if state.worst == .poisoned { return context.set(0, TokenState(shape: shape, all: .poisoned)) }
    let total = widths.reduce(0, +)
    guard total == weight.shape[1], state.shape.count == 3 else { return }
    let values = state.selecting(Array(total - widths[2]..<total), axis: 2)
    var one = values.shape
    one[1] = 1
    var rows = values.joining([1], shape: one)
    // Earlier values in the cache are not known to be zero.
    if context.node.input(cache) != nil { rows = TokenState(shape: one, all: max(.unknown, rows.worst)) }
    // A constant is not claimed: rows whose keys are all masked may give anything.
    for index in rows.packed.indices where rows.packed[index] == .constant {
      rows.packed[index] = .unknown
      rows.packedConstants[index] = 0
    }
    if let result = TokenState.combined([rows], shape: shape, { $0[0] }) { context.set(0, result) }
  }

  /// Derives the head count, and the widths of the blocks where they differ from a third each.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    let heads = context.node.integer("num_heads", default: 0)
    guard heads > 0, let kept = context.keptPositions(1, 1), let total = context.oldInputs[1]?[1].constant,
      let widths = widths(context.node, total)
    else { return }
    let left = try context.headsLeft(kept.filter { $0 < widths[0] }, size: widths[0] / heads)
    let counts = [
      kept.count { $0 < widths[0] }, kept.count { $0 >= widths[0] && $0 < widths[0] + widths[1] },
      kept.count { $0 >= widths[0] + widths[1] },
    ]
    context.setAttribute("num_heads", .integer(left))
    if context.node.integers("qkv_hidden_sizes") != nil || Set(counts).count > 1 {
      context.setAttribute("qkv_hidden_sizes", .integers(counts))
    }
  }
}
