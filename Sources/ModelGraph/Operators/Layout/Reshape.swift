import PollardBase

/// Gives the elements another shape, in the same row-major order.
///
/// A target extent of 0 copies the operand's extent at that place (unless `allowzero`), -1 is what remains. Below version 5 the target is an
/// attribute.
struct Reshape: Operator {
  let name = OperatorName("Reshape")
  let shapeOperands: Set<Int> = [1]
  let documentation = OperatorDocumentation(
    summary: "`y = x` with other extents, elements in row-major order.", shapes: "x: `[…]`; shape: `[rank of y]`.",
    axes: "The product of all operand axes is the product of all result axes.", zeros: "Moved with their elements.",
    source: "ONNX Reshape-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    let target = context.elements(1) ?? context.node.integers("shape")?.map { SymbolicElement(Size($0)) }
    guard let target, let input = context.shape(0) else { return context.set(0, ValueType(element, nil)) }
    let shape = try Self.resolve(target, input: input, context)
    context.set(0, ValueType(element, shape))
    if shape?.count ?? 2 <= 1 { context.setElements(0, context.elements(0)) }
  }

  /// The shape that a target gives; nil where it is not known.
  ///
  /// - Throws: `shapeMismatch` where no value of the symbols makes it fit.
  static func resolve(
    _ target: [SymbolicElement], input: [Size], _ context: InferenceContext
  ) throws(GraphError) -> [Size]? {
    var shape: [Size?] = []
    var open: Int?
    for (axis, element) in target.enumerated() {
      guard let size = element.size else { return try resolveUnknown(target, input: input, context) }
      if size == Size(-1) {
        guard open == nil else { throw context.failure(expected: "at most one -1", found: "several") }
        open = axis
        shape.append(nil)
      } else if size == Size(0), context.node.integer("allowzero", default: 0) == 0 {
        guard axis < input.count else {
          throw context.failure(expected: "at most \(input.count) copied extents", found: "a 0 at \(axis)")
        }
        shape.append(input[axis])
      } else {
        if let known = size.constant, known < 0 {
          throw context.failure(expected: "extents of 0 or more and one -1", found: "\(size)")
        }
        shape.append(size)
      }
    }
    guard let total = Size.product(input) else { return nil }
    if let open {
      guard let known = Size.product(shape.compactMap { $0 }) else { return nil }
      if let rest = total.dividedExactly(by: known), rest.isNonNegative {
        shape[open] = rest
      } else if total.constant != nil, known.constant != nil {
        throw context.failure(expected: "\(total) elements", found: "\(shape.map { $0?.description ?? "-1" })")
      } else {
        shape[open] = .computed("Reshape", ["\(total)", "\(known)"])
      }
      return shape.compactMap { $0 }
    }
    let result = shape.compactMap { $0 }
    guard let product = Size.product(result), let difference = product.subtracting(total) else { return nil }
    let isTooLarge = difference.lowerBound.map { $0 > 0 } ?? false
    let isTooSmall = difference.upperBound.map { $0 < 0 } ?? false
    if isTooLarge || isTooSmall {
      throw context.failure(expected: "\(total) elements", found: "\(product) in \(result)")
    }
    return result
  }

  /// The shape when a single extent depends on data: it is what the others leave.
  private static func resolveUnknown(
    _ target: [SymbolicElement], input: [Size], _ context: InferenceContext
  ) throws(GraphError) -> [Size]? {
    guard target.count(where: { $0.size == nil }) == 1, !target.contains(where: { $0.size == Size(-1) }) else {
      // Several extents that nothing is known of are symbols of their own.
      var shape: [Size] = []
      for (axis, element) in target.enumerated() {
        guard let size = element.size, size != Size(-1), size != Size(0) else {
          shape.append(context.dataDependentSize(".\(axis)"))
          continue
        }
        shape.append(size)
      }
      return shape
    }
    return try resolve(target.map { $0.size == nil ? SymbolicElement(Size(-1)) : $0 }, input: input, context)
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let outputRank = context.outputRank(0) else { return }
    context.unify((0..<rank).map { .input(0, $0) }, (0..<outputRank).map { .output(0, $0) })
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape() else { return }
    context.set(0, x.reshaped(shape))
  }

  /// Keeps what is copied, writes what is known, and leaves one extent open where it is neither.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let expected = context.newOutputs[0], let input = context.newInputs[0] else { return }
    let present = context.elements[1] ?? context.node.integers("shape")?.map { SymbolicElement(Size($0)) }
    if Self.follow(present, input, context.node) == expected { return }
    var target: [OperandElement] = []
    for (axis, size) in expected.enumerated() {
      if let known = size.constant, known > 0 {
        target.append(.number(known))
      } else if axis < input.count, input[axis] == size {
        target.append(.number(0))
      } else if let present, axis < present.count, present[axis].size == size {
        target.append(.original(axis))
      } else if !target.contains(.number(-1)) {
        target.append(.number(-1))
      } else {
        throw context.failure("two computed extents in \(expected)")
      }
    }
    // One computed extent is written as what remains; more of them are taken from the operand before.
    let computed = target.indices.filter { if case .original = target[$0] { true } else { false } }
    if computed.count == 1, !target.contains(.number(-1)) { target[computed[0]] = .number(-1) }
    if context.node.input(1) == nil, context.node.integers("shape") != nil {
      return context.setAttribute(
        "shape", .integers(target.map { if case .number(let value) = $0 { value } else { -1 } }))
    }
    context.removeAttribute("allowzero")
    context.replaceOperand(1, withElements: target)
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
