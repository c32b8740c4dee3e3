import PollardBase
import TensorStorage

/// Product with a matrix of few bits, quantised in blocks along the summed axis, as ONNX Runtime stores it.
struct MatMulNBits: Operator {
  let name = OperatorName("MatMulNBits", domain: "com.microsoft")
  let requiredInputs = 3
  /// Longer blocks are not described; runtimes take up to 256 positions.
  static let longestBlock = 1 << 20
  let documentation = OperatorDocumentation(
    summary:
      "`y = a Wᵀ + bias` with W[n, k] from `bits` bits, a scale and a zero point for each block of `block_size` along K.",
    shapes: "a: `[…, K]`; b: `[N, K / block, block · bits / 8]`; scales: `[N, K / block]`; bias: `[N]`; y: `[…, N]`.",
    axes: "K is contracted in whole blocks; N passes; bytes within a block are pinned.",
    zeros: "A term is zero where its activation is.", source: "ONNX Runtime, com.microsoft.MatMulNBits-1")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let a = context.shape(0), !a.isEmpty else { return context.set(0, ValueType(element, nil)) }
    let columns = context.node.integer("N", default: 0)
    if let k = a[a.count - 1].constant, k != context.node.integer("K", default: 0) {
      throw context.failure(
        expected: "K equal to the last extent \(k)", found: "\(context.node.integer("K", default: 0))")
    }
    if let rows = context.shape(1)?.first?.constant, rows != columns {
      throw context.failure(expected: "N equal to the first extent \(rows)", found: "\(columns)")
    }
    context.set(0, ValueType(element, a.dropLast() + [Size(columns)]))
  }

  func relate(_ context: inout AxisContext) {
    let block = context.node.integer("block_size", default: 0)
    guard let rank = context.rank(0), rank > 0, context.outputRank(0) == rank, context.rank(1) == 3,
      (1...Self.longestBlock).contains(block), (1...8).contains(context.node.integer("bits", default: 4)),
      context.node.integer("weight_prepacked", default: 0) == 0
    else { return }
    for axis in 0..<(rank - 1) { context.unify(.input(0, axis), .output(0, axis)) }
    context.unify(.input(1, 0), .output(0, rank - 1))
    let within = context.factor(Size(block))
    context.unify([.input(0, rank - 1)], [.input(1, 1), within])
    context.pin(term: within, .block)
    context.pin(.input(1, 2), .block)
    context.recordContraction(.input(0, rank - 1), .input(1, 1))
    relateBlocks(2, &context)
    if context.node.input(3) != nil {
      if context.size(.input(3, (context.rank(3) ?? 1) - 1)) == context.size(.input(2, (context.rank(2) ?? 1) - 1)) {
        relateBlocks(3, &context)
      } else if context.rank(3) == 2 {
        // Several zero points share a byte: blocks stay.
        context.unify(.input(3, 0), .input(1, 0))
        context.pin(.input(3, 1), .block)
        context.pin(.input(1, 1), .block)
      } else {
        for axis in [0, 1] { context.pin(.input(1, axis), .undescribed) }
      }
    }
    if context.node.input(4) != nil {
      // Positions of K are permuted among the blocks.
      context.pin(.input(0, rank - 1), .gathered)
      context.pin(.input(1, 0), .gathered)
      for axis in 0..<(context.rank(4) ?? 0) { context.pin(.input(4, axis), .gathered) }
    }
    if context.rank(5) == 1 { context.unify(.input(5, 0), .input(1, 0)) }
  }

  private func relateBlocks(_ slot: Int, _ context: inout AxisContext) {
    if context.rank(slot) == 2 {
      context.unify(.input(slot, 0), .input(1, 0))
      context.unify(.input(slot, 1), .input(1, 1))
    } else if context.rank(slot) == 1 {
      context.unify([.input(slot, 0)], [.input(1, 0), .input(1, 1)])
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let last = x.shape.indices.last else { return }
    let others = Set(0..<last)
    let joined = x.joining(others, shape: Array(repeating: 1, count: last) + [x.shape[last]]).holding([last])
    let length = x.shape[last]
    guard joined.packed.count == length else { return }
    let activation = joined.packed
    guard let zeros = try BlockZeros(context, activation: activation) else {
      return try context.recordObservation(x, axis: last, slot: 0)
    }
    var terms: [ElementState] = []
    for k in 0..<length {
      let isZero = zeros.positionZero[k]
      terms.append(activation[k] == .poisoned ? .poisoned : isZero || activation[k] == .zero ? .zero : activation[k])
    }
    context.record(
      ContractionTerms(
        node: context.index, activationSlot: 0, terms: terms, consumerZero: zeros.positionZero,
        producerZero: activation.map { $0 == .zero }, activationPoisoned: activation.map { $0 == .poisoned }))
    let inherited = activation.contains(.poisoned)
    var rows = zeros.rowZero.map { $0 && !inherited ? ElementState.zero : .unknown }
    if context.node.input(5) != nil {
      guard let bias = try context.state(5), bias.shape == [rows.count] else { return }
      for (index, state) in bias.states.enumerated() {
        rows[index] = state == .constant ? .unknown : max(rows[index], state)
      }
    }
    guard let shape = context.resultShape(), shape.last == rows.count, !rows.isEmpty else { return }
    context.set(
      0,
      TokenState(
        shape: shape, held: Array(repeating: 1, count: shape.count - 1) + [rows.count], packed: rows,
        constants: Array(repeating: 0, count: rows.count)))
  }

  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    if let k = context.newInputs[0]?.last?.constant { context.setAttribute("K", .integer(k)) }
    if let n = context.newInputs[1]?.first?.constant { context.setAttribute("N", .integer(n)) }
  }
}
