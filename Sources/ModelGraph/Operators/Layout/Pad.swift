import PollardBase
import TensorStorage

/// Adds places around an operand: a constant, or its own places repeated or mirrored. Widths are an attribute below version 11.
struct Pad: Operator {
  let name = OperatorName("Pad")
  let shapeOperands: Set<Int> = [1, 3]
  let documentation = OperatorDocumentation(
    summary: "`y` is x with places added before and after each axis, of a constant (0) or by `mode`.",
    shapes: "x: `[…]`; pads: `[2·n]`, first all before, then all after; value: scalar; axes: `[n]`; y: rank of x.",
    axes: "An axis without padding is itself; the others are pinned.",
    zeros: "Moved with their elements; what is added is the constant.", source: "ONNX Pad-25")

  /// The widths by axis; nil when they are not known.
  private func widths<Context: NodeContext>(
    _ context: Context, rank: Int, elements: (Int) -> [SymbolicElement]?
  ) -> [(before: Size, after: Size)]? {
    let old = context.node.integers("pads") ?? context.node.integers("paddings")
    guard let pads = elements(1) ?? old?.map({ SymbolicElement(Size($0)) }) else { return nil }
    let sizes = pads.compactMap(\.size)
    guard sizes.count == pads.count, sizes.count % 2 == 0 else { return nil }
    let count = sizes.count / 2
    var axes = Array(0..<rank)
    if context.node.input(3) != nil {
      guard let given = context.constants(3), let found = Context.normal(given, rank: rank) else { return nil }
      axes = found
    }
    guard axes.count == count else { return nil }
    var result = Array(repeating: (before: Size(0), after: Size(0)), count: rank)
    for (index, axis) in axes.enumerated() { result[axis] = (sizes[index], sizes[index + count]) }
    return result
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape else { return context.set(0, type) }
    guard let widths = widths(context, rank: shape.count, elements: { context.elements($0) }) else {
      return context.set(0, ValueType(type.element, shape.indices.map { context.dataDependentSize(".\($0)") }))
    }
    var result: [Size] = []
    for (axis, size) in shape.enumerated() {
      let sum = size.adding(widths[axis].before)?.adding(widths[axis].after)
      if let known = sum?.constant, known < 0 {
        throw context.failure(expected: "an extent of 0 or more", found: "\(known) at axis \(axis)")
      }
      result.append(sum ?? context.dataDependentSize(".\(axis)"))
    }
    context.set(0, ValueType(type.element, result))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let widths = widths(context, rank: rank, elements: { context.elements[$0] })
    else {
      return
    }
    context.pinOrigins(of: context.elements[1] ?? [])
    for axis in 0..<rank {
      if widths[axis] == (Size(0), Size(0)) {
        context.unify(.input(0, axis), .output(0, axis))
      } else {
        context.pin(.input(0, axis), .undescribed)
        context.pin(.output(0, axis), .undescribed)
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(), shape.count == x.shape.count else { return }
    let widths = widths(context, rank: shape.count) { slot in
      context.constants(slot)?.map { SymbolicElement(Size($0)) }
    }
    var value = TokenState(shape: [], all: .zero)
    if context.node.input(2) != nil { value = try context.state(2) ?? TokenState(shape: [], all: .unknown) }
    if let old = context.node.float("value"), old != 0 { value = TokenState(shape: [], numbers: [Double(old)]) }
    let touched = Set(shape.indices.filter { axis in widths.map { $0[axis] != (Size(0), Size(0)) } ?? true })
    var one = shape
    for axis in touched { one[axis] = 1 }
    let joined = x.joining(touched, shape: one)
    let isConstant = (context.node.string("mode") ?? "constant") == "constant"
    let result = TokenState.combined([joined, value.joined(shape: [])], shape: shape) { parts in
      isConstant && !touched.isEmpty ? TokenState.join(parts[0], parts[1]) : parts[0]
    }
    if let result { context.set(0, result) }
  }
}
