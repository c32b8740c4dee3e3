import PollardBase
import TensorStorage

/// Places interpolated to another number of places.
struct Resize: Operator {
  let name: OperatorName
  let shapeOperands: Set<Int>
  /// The slots of factors and extents.
  let scales: Int
  let sizes: Int?
  let version: Int

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y` is x interpolated along axes that get other extents.",
      shapes: "x: `[…]`; scales or sizes: `[rank]`, or one for each of `axes`; y: rank of x.",
      axes: "An axis with the factor 1 is itself; the others are pinned.",
      zeros: "What all places along resized axes share.",
      source: "ONNX \(name)-\(version)")
  }

  static let all = [
    Resize(name: OperatorName("Resize"), shapeOperands: [3], scales: 2, sizes: 3, version: 19),
    Resize(name: OperatorName("Upsample"), shapeOperands: [], scales: 1, sizes: nil, version: 10),
  ]

  /// The slot of the factors: the second operand below version 11.
  private func scaleSlot(_ node: Node) -> Int { node.version < 11 ? 1 : scales }

  /// The resized axes, with the factor of each where it is known.
  private func axes(_ node: Node, rank: Int) -> [Int]? {
    guard let given = node.integers("axes") else { return Array(0..<rank) }
    return InferenceContext.normal(given, rank: rank)
  }

  private func factors(_ node: Node, _ weight: Weight?, rank: Int) -> [Float]? {
    if let given = node.floats("scales") { return given }
    guard let weight, weight.shape.rank == 1, (1...rank).contains(weight.shape.elementCount), weight.type == .f32 else {
      return nil
    }
    return try? weight.floats()
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let shape = type.shape, let axes = axes(context.node, rank: shape.count) else {
      return context.set(0, ValueType(type.element, nil))
    }
    var result = shape
    let weight = context.node.input(scaleSlot(context.node)).flatMap { context.graph[$0].initializer }
    if let factors = factors(context.node, weight, rank: shape.count), factors.count == axes.count {
      for (axis, factor) in zip(axes, factors) where factor != 1 {
        if let known = shape[axis].constant, factor > 0, (Float(known) * factor) < 1e9 {
          result[axis] = Size(Int((Float(known) * factor).rounded(.down)))
        } else if factor == factor.rounded(), factor > 0, factor < 1e6,
          let product = shape[axis].multiplied(by: Size(Int(factor)))
        {
          result[axis] = product
        } else {
          result[axis] = .computed(name.name, ["\(shape[axis])", "\(factor)"])
        }
      }
    } else if let slot = sizes, let given = context.elements(slot), given.count == axes.count,
      (context.node.string("keep_aspect_ratio_policy") ?? "stretch") == "stretch"
    {
      for (axis, element) in zip(axes, given) { result[axis] = element.size ?? context.dataDependentSize(".\(axis)") }
    } else {
      for axis in axes { result[axis] = context.dataDependentSize(".\(axis)") }
    }
    context.set(0, ValueType(type.element, result))
  }

  /// Whether an axis is left alone: its factor is exactly 1. A factor near 1 may keep the extent and still move between places.
  private func isWhole(_ axis: Int, _ node: Node, rank: Int, from old: Size?, to new: Size?, scales: Weight?) -> Bool {
    guard let old, old == new, node.string("coordinate_transformation_mode") != "tf_crop_and_resize" else {
      return false
    }
    guard let axes = axes(node, rank: rank) else { return false }
    guard let place = axes.firstIndex(of: axis) else { return true }
    if let factors = factors(node, scales, rank: rank) { return factors.count == axes.count && factors[place] == 1 }
    // An extent that is given as the axis's own is the factor 1; old files leave unused factors as an empty constant.
    let isWithoutFactors = node.input(scaleSlot(node)) == nil || scales?.shape.elementCount == 0
    return isWithoutFactors && sizes.flatMap(node.input) != nil
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank == context.outputRank(0) else { return }
    for axis in 0..<rank {
      let isWhole = isWhole(
        axis, context.node, rank: rank, from: context.size(.input(0, axis)), to: context.size(.output(0, axis)),
        scales: context.weights[scaleSlot(context.node)])
      if isWhole {
        context.unify(.input(0, axis), .output(0, axis))
      } else {
        context.pin(.input(0, axis), .reduced)
        context.pin(.output(0, axis), .reduced)
      }
    }
    // Factors and regions go with the axes, of which there stay as many.
    for slot in context.node.inputs.indices where slot != 0 && !shapeOperands.contains(slot) {
      for axis in 0..<(context.rank(slot) ?? 0) { context.pin(.input(slot, axis), .reduced) }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(), shape.count == x.shape.count else { return }
    var one = x.shape
    let scales = context.weight(scaleSlot(context.node))
    let sizes = (context.shape(0), context.shape(of: 0))
    let touched = Set(
      shape.indices.filter { axis in
        !isWhole(axis, context.node, rank: shape.count, from: sizes.0?[axis], to: sizes.1?[axis], scales: scales)
          || sizes.0?[axis].constant == nil
      })
    for axis in touched { one[axis] = 1 }
    let joined = x.joining(touched, shape: one).withoutConstants
    if let result = TokenState.combined([joined], shape: shape, { $0[0] }) { context.set(0, result) }
  }

  /// Extents of axes that are left alone follow them.
  func adapt(_ context: inout AdaptationContext) throws(CompactionError) {
    guard let slot = sizes, let present = context.elements[slot], let expected = context.newOutputs[0],
      let axes = axes(context.node, rank: expected.count), axes.count == present.count
    else { return }
    var target: [OperandElement] = []
    for (index, axis) in axes.enumerated() {
      if let known = expected[axis].constant { target.append(.number(known)) } else { target.append(.original(index)) }
    }
    let isChanged = zip(axes, present).contains { expected[$0] != $1.size && expected[$0].constant != nil }
    if isChanged { context.replaceOperand(slot, withElements: target) }
  }
}
