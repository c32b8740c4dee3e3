import PollardBase

/// Gives the elements another shape, in the same row-major order.
///
/// A target extent of 0 copies the operand's extent at that place (unless `allowzero`), -1 is what remains.
struct Reshape: Operator {
  let name = OperatorName("Reshape")
  let requiredInputs = 2
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y = x` with other extents, elements in row-major order.", shapes: "x: `[…]`; shape: `[rank of y]`.",
    axes: "The product of all operand axes is the product of all result axes.", zeros: "Moved with their elements.",
    source: "ONNX Reshape-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let target = context.elements(1), let input = context.shape(0) else {
      return context.set(0, ValueType(element, nil))
    }
    let shape = try Self.resolve(target, input: input, context)
    context.set(0, ValueType(element, shape))
    if shape?.count ?? 2 <= 1 { context.setElements(0, context.elements(0)) }
  }

  static func resolve(
    _ target: [SymbolicElement], input: [Size], _ context: InferenceContext
  ) throws(GraphError) -> [Size]? {
    var shape: [Size?] = []
    var open: Int?
    for (axis, element) in target.enumerated() {
      guard let size = element.size else { return nil }
      if size == Size(-1) {
        open = axis
        shape.append(nil)
      } else if size == Size(0), context.node.integer("allowzero", default: 0) == 0 {
        guard axis < input.count else {
          throw context.failure(expected: "at most \(input.count) copied extents", found: "a 0 at \(axis)")
        }
        shape.append(input[axis])
      } else {
        shape.append(size)
      }
    }
    guard let total = Size.product(input) else { return nil }
    if let open {
      guard let known = Size.product(shape.compactMap { $0 }), let rest = total.dividedExactly(by: known) else {
        if total.constant != nil, Size.product(shape.compactMap { $0 })?.constant != nil {
          throw context.failure(expected: "\(total) elements", found: "\(shape.map { $0?.description ?? "-1" })")
        }
        return nil
      }
      shape[open] = rest
    }
    let result = shape.compactMap { $0 }
    guard let product = Size.product(result) else { return nil }
    if product != total {
      if product.constant != nil || total.constant != nil || product.symbols == total.symbols {
        throw context.failure(expected: "\(total) elements", found: "\(product) in \(result)")
      }
      return result
    }
    return result
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let outputRank = context.outputRank(0) else { return }
    context.unify((0..<rank).map { .input(0, $0) }, (0..<outputRank).map { .output(0, $0) })
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(), shape.reduce(1, *) == x.states.count else {
      return
    }
    context.set(0, TokenState(shape: shape, states: x.states, constants: x.constants))
  }

  /// Keeps what is copied, writes what is known, and leaves one extent open where it is neither.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let expected = context.newOutputs[0], let input = context.newInputs[0] else { return }
    if let present = Self.follow(context.elements[1], input, context.node), present == expected { return }
    var target: [Int] = []
    for (axis, size) in expected.enumerated() {
      if let known = size.constant, known > 0 {
        target.append(known)
      } else if axis < input.count, input[axis] == size {
        target.append(0)
      } else if !target.contains(-1) {
        target.append(-1)
      } else {
        throw context.failure("two computed extents in \(expected)")
      }
    }
    context.removeAttribute("allowzero")
    context.replaceOperand(1, with: target)
  }

  /// The shape that the operand as it stands gives to the new input, when that is known.
  private static func follow(_ elements: [SymbolicElement]?, _ input: [Size], _ node: Node) -> [Size]? {
    guard let elements, let total = Size.product(input) else { return nil }
    var shape: [Size?] = []
    for (axis, element) in elements.enumerated() {
      guard let size = element.size else { return nil }
      if size == Size(-1) {
        shape.append(nil)
      } else if size == Size(0), node.integer("allowzero", default: 0) == 0 {
        guard axis < input.count else { return nil }
        shape.append(input[axis])
      } else {
        shape.append(size)
      }
    }
    if let open = shape.firstIndex(of: nil) {
      guard let known = Size.product(shape.compactMap { $0 }), let rest = total.dividedExactly(by: known) else {
        return nil
      }
      shape[open] = rest
    }
    return shape.compactMap { $0 }
  }
}
