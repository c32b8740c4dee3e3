/// The loops over the elements of several tensors that have common extents: as few as possible.
///
/// Axes of extent 1 are dropped; neighbouring axes that every operand walks as one are one.
struct LoopNest {
  /// The extent of each loop, outermost first.
  private(set) var extents: [Int] = []
  /// The stride of each loop, for each operand.
  private(set) var strides: [[Int]]

  init(_ extents: [Int], _ operands: [[Int]]) {
    strides = operands.map { _ in [] }
    for axis in extents.indices where extents[axis] != 1 {
      if let last = self.extents.indices.last,
        operands.indices.allSatisfy({ strides[$0][last] == operands[$0][axis] * extents[axis] })
      {
        self.extents[last] *= extents[axis]
        for operand in operands.indices { strides[operand][last] = operands[operand][axis] }
      } else {
        self.extents.append(extents[axis])
        for operand in operands.indices { strides[operand].append(operands[operand][axis]) }
      }
    }
  }

  /// The innermost loop: its extent and each operand's stride. A scalar has one step.
  var inner: (extent: Int, strides: [Int]) {
    (extents.last ?? 1, strides.map { $0.last ?? 1 })
  }

  /// The number of times the loops outside of the innermost `inner` ones run.
  func outerCount(above inner: Int) -> Int { extents.dropLast(inner).reduce(1, *) }

  /// Each operand's offset at one step of the loops outside of the innermost `inner` ones.
  func offset(_ operand: Int, at step: Int, above inner: Int) -> Int {
    var rest = step
    var result = 0
    var axis = extents.count - inner - 1
    while axis >= 0 {
      let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: extents[axis])
      result += remainder * strides[operand][axis]
      rest = quotient
      axis -= 1
    }
    return result
  }
}
