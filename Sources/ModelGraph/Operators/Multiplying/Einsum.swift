import PollardBase
import TensorStorage

/// Sums of products by an equation of axis letters.
struct Einsum: Operator {
  let name = OperatorName("Einsum")
  let documentation = OperatorDocumentation(
    summary: "`y` is the sum of products that the equation names, such as `bsd,df->bsf`.",
    shapes: "Operands and y have an axis for each letter.",
    axes:
      "A letter is one axis everywhere; one that two operands have and y has not is contracted; other summed ones are pinned.",
    zeros: "For one or two operands, zero where every term has a zero factor and a finite one.",
    source: "ONNX Einsum-12")

  private struct Equation {
    var operands: [[Character]]
    var result: [Character]
  }

  /// The letters; nil for an ellipsis, a letter that an operand has twice, or anything not understood.
  private func equation(_ node: Node) -> Equation? {
    guard let text = node.string("equation")?.filter({ $0 != " " }), text.count < 200, !text.contains(".") else {
      return nil
    }
    let sides = text.split(separator: "->", omittingEmptySubsequences: false).map(String.init)
    guard let left = sides.first, sides.count <= 2 else { return nil }
    let operands = left.split(separator: ",", omittingEmptySubsequences: false).map(Array.init)
    guard operands.count == node.inputs.count, operands.joined().allSatisfy({ $0.isLetter }),
      operands.allSatisfy({ Set($0).count == $0.count })
    else { return nil }
    if sides.count == 2 {
      let result = Array(sides[1])
      guard Set(result).count == result.count, Set(result).isSubset(of: operands.joined()) else { return nil }
      return Equation(operands: operands, result: result)
    }
    // Without an arrow the result has the letters that occur once, in alphabetical order.
    var counts: [Character: Int] = [:]
    for letter in operands.joined() { counts[letter, default: 0] += 1 }
    return Equation(operands: operands, result: counts.filter { $0.value == 1 }.keys.sorted())
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let equation = equation(context.node) else { return context.set(0, ValueType(element, nil)) }
    var sizes: [Character: Size] = [:]
    for (slot, letters) in equation.operands.enumerated() {
      guard let shape = context.shape(slot) else { return context.set(0, ValueType(element, nil)) }
      guard shape.count == letters.count else {
        throw context.failure(expected: "rank \(letters.count) in operand \(slot)", found: "\(shape)")
      }
      for (letter, size) in zip(letters, shape) {
        if let known = sizes[letter], known != Size(1), size != Size(1), known != size, known.constant != nil,
          size.constant != nil
        {
          throw context.failure(expected: "\(known) for \(letter)", found: "\(size)")
        }
        if sizes[letter] == nil || sizes[letter] == Size(1) || size.constant != nil && size != Size(1) {
          sizes[letter] = size
        }
      }
    }
    context.set(0, ValueType(element, equation.result.compactMap { sizes[$0] }))
  }

  func relate(_ context: inout AxisContext) {
    guard let equation = equation(context.node), context.outputRank(0) == equation.result.count else { return }
    var places: [Character: [AxisPlace]] = [:]
    for (slot, letters) in equation.operands.enumerated() {
      guard context.rank(slot) == letters.count else { return }
      for (axis, letter) in letters.enumerated() { places[letter, default: []].append(.input(slot, axis)) }
    }
    for (letter, found) in places.sorted(by: { $0.key < $1.key }) {
      if let axis = equation.result.firstIndex(of: letter) {
        for place in found { context.unifyBroadcasting(place, .output(0, axis)) }
      } else if found.count == 2 {
        context.contract(found[0], found[1])
      } else {
        for place in found { context.pin(place, .reduced) }
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let equation = equation(context.node), equation.operands.count == 2, let shape = context.resultShape() else {
      return
    }
    let a = equation.operands[0]
    let b = equation.operands[1]
    let summed = a.filter { b.contains($0) && !equation.result.contains($0) }
    let batch = a.filter { b.contains($0) && equation.result.contains($0) }
    let left = a.filter { !b.contains($0) }
    let right = b.filter { !a.contains($0) }
    guard (left + right).allSatisfy(equation.result.contains), let x = try context.state(0) else { return }
    let xs = x.transposed((batch + left + summed).compactMap { a.firstIndex(of: $0) })
    func extents(_ letters: [Character], _ state: TokenState, _ names: [Character]) -> [Int] {
      letters.compactMap { letter in names.firstIndex(of: letter).map { state.shape[$0] } }
    }
    let m = extents(left, x, a)
    let k = extents(summed, x, a)
    var result: TokenState?
    var n: [Int]
    let outer = extents(batch, x, a)
    if batch.isEmpty, let weight = context.weight(1), context.weight(0) == nil, weight.shape.rank == b.count {
      n = right.compactMap { letter in b.firstIndex(of: letter).map { weight.shape[$0] } }
      guard k == summed.compactMap({ letter in b.firstIndex(of: letter).map { weight.shape[$0] } }) else { return }
      let matrix = weight.transposed((summed + right).compactMap { b.firstIndex(of: $0) })
        .reshaped([k.reduce(1, *), n.reduce(1, *)])
      result = try MatrixProduct().linear(xs.reshaped([m.reduce(1, *), k.reduce(1, *)]), matrix, &context)
      // Sums over several letters are several contractions, whose terms are not told apart.
      if summed.count != 1 { context.dropContractions() }
    } else {
      guard let y = try context.state(1) else { return }
      n = extents(right, y, b)
      guard k == extents(summed, y, b), outer == extents(batch, y, b) else { return }
      let ys = y.transposed((batch + summed + right).compactMap { b.firstIndex(of: $0) })
      result = MatrixProduct.product(
        xs.reshaped(outer + [m.reduce(1, *), k.reduce(1, *)]), ys.reshaped(outer + [k.reduce(1, *), n.reduce(1, *)]),
        shape: outer + [m.reduce(1, *), n.reduce(1, *)])
    }
    guard let result else { return }
    let letters = batch + left + right
    let order = equation.result.compactMap { letters.firstIndex(of: $0) }
    let whole = result.reshaped(outer + m + n).transposed(order)
    if whole.shape == shape { context.set(0, whole) }
  }
}
