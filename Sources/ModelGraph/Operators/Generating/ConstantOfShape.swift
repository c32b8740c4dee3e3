import PollardBase
import TensorStorage

/// One number repeated to fill a shape.
struct ConstantOfShape: Operator {
  let name = OperatorName("ConstantOfShape")
  let shapeOperands: Set<Int> = [0]
  let documentation = OperatorDocumentation(
    summary: "`y = value` everywhere; 0 without the attribute.", shapes: "shape: `[rank]`; y: `[…]`.",
    axes: "Every axis is new.", zeros: "The number.", source: "ONNX ConstantOfShape-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    var element = ElementType.f32
    var number: Int? = 0
    if case .tensor(let weight)? = context.node.attributes["value"] {
      element = weight.type
      number = weight.shape.elementCount == 1 ? (try? weight.smallIntegers())?.first : nil
    }
    guard let target = context.elements(0) else { return context.set(0, ValueType(element, nil)) }
    for case let size? in target.map({ $0.size?.constant }) where size < 0 {
      throw context.failure(expected: "extents of 0 or more", found: "\(size)")
    }
    let shape = target.enumerated().map { axis, element in element.size ?? context.dataDependentSize(".\(axis)") }
    context.set(0, ValueType(element, shape))
    guard shape.count <= 1, let number, let count = shape.isEmpty ? 1 : shape[0].constant,
      (0...ShapeInference.elementLimit).contains(count)
    else { return }
    context.setElements(
      0, Array(repeating: SymbolicElement(Size(number), origins: Set(target.flatMap(\.origins))), count: count))
  }

  func relate(_ context: inout AxisContext) {
    for axis in 0..<(context.outputRank(0) ?? 0) {
      guard let size = context.size(.output(0, axis)) else { continue }
      context.unify([.output(0, axis)], [.fresh(size)])
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let shape = context.resultShape() else { return }
    guard case .tensor(let weight)? = context.node.attributes["value"] else {
      return context.set(0, TokenState(shape: shape, all: .zero))
    }
    guard weight.shape.elementCount == 1, weight.type.canBeCast(to: .f32) else { return }
    context.set(0, try TokenState(weight).joined(shape: shape))
  }

  /// Writes the shrunken extents where the operand does not follow by itself.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let expected = context.newOutputs[0], let present = context.elements[0], present.count == expected.count
    else {
      return
    }
    if present.map(\.size) == expected.map(Optional.init) { return }
    let old = context.oldOutputs[0]
    var target: [OperandElement] = []
    for (axis, size) in expected.enumerated() {
      if let known = size.constant {
        target.append(.number(known))
      } else if present[axis].size == size || old?[axis] == size {
        target.append(.original(axis))
      } else {
        throw context.failure("a computed extent that shrinks in \(expected)")
      }
    }
    context.replaceOperand(0, withElements: target)
  }
}
