import PollardBase
import TensorStorage

/// The rules that all matrix products share: where the operands' rows, columns and leading axes are.
struct MatrixProduct: Sendable {
  /// The operand slots.
  var left = 0
  var right = 1
  /// Whether the last two axes of an operand are exchanged.
  var transposesLeft = false
  var transposesRight = false

  /// The shape of the result; a vector on the left is a row, on the right a column, and its axis is not in the result.
  func shape(_ context: InferenceContext) throws(GraphError) -> [Size]? {
    guard let a = context.shape(left), let b = context.shape(right) else { return nil }
    guard a.count >= 1, b.count >= 1 else {
      throw context.failure(expected: "operands of rank 1 or more", found: "\(a) and \(b)")
    }
    let k = a.count == 1 ? a[0] : a[a.count - (transposesLeft ? 2 : 1)]
    let rows = b.count == 1 ? b[0] : b[b.count - (transposesRight ? 1 : 2)]
    if k != rows, k.constant != nil, rows.constant != nil {
      throw context.failure(expected: "as many columns on the left as rows on the right", found: "\(a) and \(b)")
    }
    guard let batch = try context.broadcast([Array(a.dropLast(2)), Array(b.dropLast(2))]) else { return nil }
    var result = batch
    if a.count >= 2 { result.append(a[a.count - (transposesLeft ? 1 : 2)]) }
    if b.count >= 2 { result.append(b[b.count - (transposesRight ? 2 : 1)]) }
    return result
  }

  func relate(_ context: inout AxisContext, to output: Int = 0) {
    guard let a = context.rank(left), let b = context.rank(right), let y = context.outputRank(output), a >= 1, b >= 1
    else { return }
    let batch = y - (a >= 2 ? 1 : 0) - (b >= 2 ? 1 : 0)
    guard batch >= 0, max(a, b) - 2 <= batch || max(a, b) < 2 else { return }
    for axis in 0..<max(a - 2, 0) {
      context.unifyBroadcasting(.input(left, axis), .output(output, axis + batch - a + 2))
    }
    for axis in 0..<max(b - 2, 0) {
      context.unifyBroadcasting(.input(right, axis), .output(output, axis + batch - b + 2))
    }
    if a >= 2 { context.unify(.input(left, a - (transposesLeft ? 1 : 2)), .output(output, batch)) }
    if b >= 2 { context.unify(.input(right, b - (transposesRight ? 2 : 1)), .output(output, y - 1)) }
    context.contract(
      .input(left, a == 1 ? 0 : a - (transposesLeft ? 2 : 1)),
      .input(right, b == 1 ? 0 : b - (transposesRight ? 1 : 2)))
  }

  /// The state of the result; nil when nothing is known.
  func state(_ context: inout ZeroContext) throws(FormatError) -> TokenState? {
    if let weight = context.weight(right), weight.shape.rank == 2, context.weight(left) == nil, !transposesLeft {
      guard let x = try context.state(left) else { return nil }
      return try linear(x, transposesRight ? weight.transposed() : weight, &context)
    }
    return try general(context)
  }

  /// A product with a constant matrix: the matrix is streamed once. Recorded as a contraction.
  func linear(_ x: TokenState, _ weight: Weight, _ context: inout ZeroContext) throws(FormatError) -> TokenState? {
    let rows = weight.shape[0]
    let columns = weight.shape[1]
    guard context.readsWeights, weight.type.canBeCast(to: .f32), rows > 0, let last = x.shape.indices.last,
      x.shape[last] == rows, !x.shape.contains(0)
    else { return nil }
    let joined = x.joining(Set(0..<last), shape: Array(repeating: 1, count: last) + [rows]).holding([last])
    let activation = joined.packed.count == rows ? joined.packed : Array(repeating: joined.worst, count: rows)
    if !context.wantsResults, activation.allSatisfy({ $0 == .unknown }), try readsEveryRow(weight, context.pool) {
      let none = Array(repeating: false, count: rows)
      context.record(
        ContractionTerms(
          node: context.index, activationSlot: left, terms: activation, consumerZero: none, producerZero: none,
          activationPoisoned: none))
      return nil
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
        node: context.index, activationSlot: left, terms: terms,
        consumerZero: zip(structure.rowNonzero, structure.rowNonfinite).map { !$0 && !$1 },
        producerZero: activation.map { $0 == .zero }, activationPoisoned: activation.map { $0 == .poisoned },
        constants: terms.contains(.constant)
          ? (0..<rows).map { joined.packedConstants[joined.packed.count == rows ? $0 : 0] } : []))
    // A term that is not finite spoils every result alike, which leaves the model without a finite output and so outside of what verdicts
    // speak about; only what a column itself holds marks that column.
    let inherited = activation.contains(.poisoned)
    let row = (0..<columns).map { n -> ElementState in
      structure.columnNonfinite[n] ? .poisoned : structure.columnNonzero[n] || inherited ? .unknown : .zero
    }
    let shape = Array(x.shape[..<last]) + [columns]
    if columns == 0 { return TokenState(shape: shape, all: .zero) }
    return TokenState(
      shape: shape, held: Array(repeating: 1, count: last) + [columns], packed: row,
      constants: Array(repeating: 0, count: columns))
  }

  /// Whether the first few columns show already that no row is zero, so that the others need not be read.
  private func readsEveryRow(_ weight: Weight, _ pool: ThreadPool) throws(FormatError) -> Bool {
    let few = weight.keeping(Array(0..<min(8, weight.shape[1])), axis: 1)
    return try few.nonzeroStructure(pool: pool).rowNonzero.allSatisfy { $0 }
  }

  /// A product of two computed operands, or one too large to be looked at whole: only what is worst along each summed axis matters.
  private func general(_ context: ZeroContext) throws(FormatError) -> TokenState? {
    guard var a = try context.state(left), var b = try context.state(right), let shape = context.resultShape(),
      a.shape.count >= 2, b.shape.count >= 2, shape.count == max(a.shape.count, b.shape.count)
    else { return nil }
    if transposesLeft { a = a.transposed(Self.exchanged(a.shape.count)) }
    if transposesRight { b = b.transposed(Self.exchanged(b.shape.count)) }
    return Self.product(a, b, shape: shape)
  }

  private static func exchanged(_ rank: Int) -> [Int] {
    Array(0..<rank - 2) + [rank - 1, rank - 2]
  }

  /// The product of two states over the last axis of one and the last but one of the other.
  static func product(_ a: TokenState, _ b: TokenState, shape: [Int]) -> TokenState? {
    let ka = a.shape.count - 1
    let kb = b.shape.count - 2
    let length = a.shape[ka]
    guard b.shape[kb] == length, shape.count >= 2, shape[shape.count - 2] == a.shape[ka - 1],
      shape[shape.count - 1] == b.shape[kb + 1], !shape.contains(0)
    else { return nil }
    if length == 0 { return TokenState(shape: shape, all: .zero) }
    // Along the summed axis both hold all positions or both one.
    let isHeld = a.held[ka] != 1 || b.held[kb] != 1
    let x = isHeld ? a.holding([ka]) : a
    let y = isHeld ? b.holding([kb]) : b
    let terms = x.held[ka]
    guard y.held[kb] == terms else { return nil }
    let m = x.held[ka - 1]
    let n = y.held[kb + 1]
    var batch = Array(repeating: 1, count: shape.count - 2)
    for operand in [x, y] {
      let offset = shape.count - operand.shape.count
      for axis in 0..<(operand.shape.count - 2) {
        guard operand.shape[axis] == shape[axis + offset] || operand.shape[axis] == 1 else { return nil }
        if operand.held[axis] != 1 { batch[axis + offset] = operand.held[axis] }
      }
    }
    guard let count = (batch + [m, n]).product, count <= TokenState.limit,
      let places = BroadcastIndex(from: Array(x.held.dropLast(2)), to: batch),
      let others = BroadcastIndex(from: Array(y.held.dropLast(2)), to: batch)
    else {
      let worst = max(a.worst, b.worst)
      return TokenState(shape: shape, all: worst == .poisoned ? .poisoned : .unknown)
    }
    let isUnitSum = a.unitSumAxis == ka
    let mayPoison = x.worst == .poisoned || y.worst == .poisoned
    var result = TokenState(
      shape: shape, held: batch + [m, n], packed: Array(repeating: .zero, count: count),
      constants: Array(repeating: 0, count: count))
    for index in 0..<batch.reduce(1, *) {
      for i in 0..<m {
        let row = (places[index] * m + i) * terms
        for j in 0..<n {
          let column = others[index] * terms * n + j
          var worst = ElementState.zero
          for term in 0..<terms {
            let p = x.packed[row + term]
            let q = y.packed[column + term * n]
            let state: ElementState = max(p, q) == .poisoned ? .poisoned : min(p, q) == .zero ? .zero : .unknown
            worst = max(worst, state)
            if worst == .poisoned || worst == .unknown && !mayPoison { break }
          }
          let place = (index * m + i) * n + j
          result.packed[place] = worst
          guard isUnitSum, worst == .unknown, x.packed[row] != .poisoned else { continue }
          // Shares that add up to one of the same number give that number.
          let first = y.packedConstants[column]
          let isConstant = (0..<terms).allSatisfy {
            y.packed[column + $0 * n] == .constant && y.packedConstants[column + $0 * n] == first
          }
          if isConstant {
            result.packed[place] = .constant
            result.packedConstants[place] = first
          }
        }
      }
    }
    return result
  }
}
