import PollardBase
import TensorStorage

/// Matrix product over the last two axes, repeated over the others.
struct MatMul: Operator {
  let name = OperatorName("MatMul")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y[…, m, n] = Σ_k a[…, m, k] · b[…, k, n]`, k ascending.",
    shapes: "a: `[…, M, K]`; b: `[…, K, N]`; y: `[…, M, N]`, leading axes broadcast.",
    axes: "K is contracted; M and N pass; leading axes as for elementwise operators.",
    zeros: "Zero when every term has a zero factor and a finite one.", source: "ONNX MatMul-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let a = context.shape(0), let b = context.shape(1) else { return context.set(0, ValueType(element, nil)) }
    guard a.count >= 2, b.count >= 2 else {
      throw context.failure(.unsupported, expected: "operands of rank 2 or more", found: "\(a) and \(b)")
    }
    let k = a[a.count - 1]
    let rows = b[b.count - 2]
    if k != rows, k.constant != nil, rows.constant != nil {
      throw context.failure(expected: "as many columns on the left as rows on the right", found: "\(a) and \(b)")
    }
    let batch = try context.broadcast([Array(a.dropLast(2)), Array(b.dropLast(2))])
    context.set(0, ValueType(element, batch.map { $0 + [a[a.count - 2], b[b.count - 1]] }))
  }

  func relate(_ context: inout AxisContext) {
    guard let a = context.rank(0), let b = context.rank(1), let y = context.outputRank(0), a >= 2, b >= 2 else {
      return
    }
    for axis in 0..<(a - 2) { context.unifyBroadcasting(.input(0, axis), .output(0, axis + y - a)) }
    for axis in 0..<(b - 2) { context.unifyBroadcasting(.input(1, axis), .output(0, axis + y - b)) }
    context.unify(.input(0, a - 2), .output(0, y - 2))
    context.unify(.input(1, b - 1), .output(0, y - 1))
    context.contract(.input(0, a - 1), .input(1, b - 2))
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let weight = context.weight(1), weight.shape.rank == 2, context.weight(0) == nil {
      try propagateLinear(weight, &context)
    } else {
      try propagateGeneral(&context)
    }
  }

  /// A product with a constant matrix: the matrix is streamed once.
  private func propagateLinear(_ weight: Weight, _ context: inout ZeroContext) throws(FormatError) {
    let rows = weight.shape[0]
    let columns = weight.shape[1]
    guard context.readsWeights, let x = try context.state(0), let shape = context.resultShape(), rows > 0,
      x.states.count % rows == 0
    else { return }
    let tokens = x.states.count / rows
    let activation = (0..<rows).map { k -> ElementState in
      let found = (0..<tokens).map { x.states[$0 * rows + k] }.max() ?? .zero
      let first = x.constants[k]
      let equal = (0..<tokens).allSatisfy { x.constants[$0 * rows + k] == first }
      return found == .constant && !equal ? .unknown : found
    }
    if !context.wantsResults, activation.allSatisfy({ $0 == .unknown }), try readsEveryRow(weight, context.pool) {
      let none = Array(repeating: false, count: rows)
      return context.record(
        ContractionTerms(
          node: context.index, activationSlot: 0, terms: activation, consumerZero: none, producerZero: none,
          activationPoisoned: none))
    }
    let structure = try weight.nonzeroStructure(activeRows: activation.map { $0 != .zero }, pool: context.pool)
    var terms: [ElementState] = []
    for k in 0..<rows {
      if activation[k] == .poisoned || structure.rowNonfinite[k] {
        terms.append(.poisoned)
      } else if activation[k] == .zero || !structure.rowNonzero[k] {
        terms.append(.zero)
      } else {
        terms.append(activation[k])
      }
    }
    context.record(
      ContractionTerms(
        node: context.index, activationSlot: 0, terms: terms,
        consumerZero: zip(structure.rowNonzero, structure.rowNonfinite).map { !$0 && !$1 },
        producerZero: activation.map { $0 == .zero }, activationPoisoned: activation.map { $0 == .poisoned }))
    // A term that is not finite spoils every result alike, which leaves the model without a finite output and so outside of what verdicts
    // speak about; only what a column itself holds marks that column.
    let inherited = activation.contains(.poisoned)
    let row = (0..<columns).map { n -> ElementState in
      structure.columnNonfinite[n] ? .poisoned : structure.columnNonzero[n] || inherited ? .unknown : .zero
    }
    guard shape.reduce(1, *) % max(columns, 1) == 0, columns > 0 else { return }
    let states = Array(repeatElement(row, count: shape.reduce(1, *) / columns).joined())
    context.set(0, TokenState(shape: shape, states: states, constants: Array(repeating: 0, count: states.count)))
  }

  /// Whether the first few columns show already that no row is zero, so that the others need not be read.
  private func readsEveryRow(_ weight: Weight, _ pool: ThreadPool) throws(FormatError) -> Bool {
    let few = weight.keeping(Array(0..<min(8, weight.shape[1])), axis: 1)
    return try few.nonzeroStructure(pool: pool).rowNonzero.allSatisfy { $0 }
  }

  /// A product of two computed operands: only what is worst along each summed axis matters.
  private func propagateGeneral(_ context: inout ZeroContext) throws(FormatError) {
    guard let a = try context.state(0), let b = try context.state(1), let shape = context.resultShape(),
      a.shape.count >= 2, b.shape.count >= 2, shape.count >= 2
    else { return }
    let k = a.shape[a.shape.count - 1]
    let m = a.shape[a.shape.count - 2]
    let n = b.shape[b.shape.count - 1]
    guard b.shape[b.shape.count - 2] == k,
      let batchA = BroadcastIndex(from: Array(a.shape.dropLast(2)), to: Array(shape.dropLast(2))),
      let batchB = BroadcastIndex(from: Array(b.shape.dropLast(2)), to: Array(shape.dropLast(2)))
    else { return }
    var result = TokenState(shape: shape, all: .zero)
    for batch in 0..<shape.dropLast(2).reduce(1, *) {
      for i in 0..<m {
        for j in 0..<n {
          var worst = ElementState.zero
          for term in 0..<k {
            let x = a.states[(batchA[batch] * m + i) * k + term]
            let y = b.states[(batchB[batch] * k + term) * n + j]
            let state: ElementState = max(x, y) == .poisoned ? .poisoned : min(x, y) == .zero ? .zero : .unknown
            worst = max(worst, state)
          }
          result.states[(batch * m + i) * n + j] = worst
        }
      }
    }
    context.set(0, result)
  }
}
