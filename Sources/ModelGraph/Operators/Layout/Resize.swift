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
          result[axis] = .symbol("\(name.name)(\(shape[axis]), \(factor))")
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

  /// Whether an axis is left alone: its factor is 1, which holds for an extent given as the axis's own too.
  private func isWhole(_ axis: Int, _ context: AxisContext) -> Bool {
    guard let size = context.size(.input(0, axis)), size == context.size(.output(0, axis)) else { return false }
    return context.node.string("coordinate_transformation_mode") != "tf_crop_and_resize"
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank == context.outputRank(0) else { return }
    for axis in 0..<rank {
      if isWhole(axis, context) {
        context.unify(.input(0, axis), .output(0, axis))
      } else {
        context.pin(.input(0, axis), .reduced)
        context.pin(.output(0, axis), .reduced)
      }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(), shape.count == x.shape.count else { return }
    var one = x.shape
    let touched = Set(shape.indices.filter { shape[$0] != x.shape[$0] || context.shape(0)?[$0].constant == nil })
    for axis in touched { one[axis] = 1 }
    var joined = x.joining(touched, shape: one)
    for index in joined.packed.indices where joined.packed[index] == .constant {
      joined.packed[index] = .unknown
      joined.packedConstants[index] = 0
    }
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
