import PollardBase
import TensorStorage

/// Gives quantised integers back as numbers: `(x - zero point) · scale`.
struct DequantizeLinear: Operator {
  let name: OperatorName
  let requiredInputs = 2

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = (x - zero_point) · scale`.",
      shapes: "x, y: `[…]`, equal; scale, zero_point: scalar, `[C]` along `axis` (1), or blocked along it.",
      axes: "Every axis is itself and that of the scales; positions within a block are pinned.",
      zeros: "Zero where x is the zero point.", source: "ONNX DequantizeLinear-24")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let given = Cast.types[context.node.integer("output_dtype", default: 0)]
    context.set(0, ValueType(given ?? context.element(1) ?? .f32, context.shape(0)))
  }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    context.relateScales([1, 2], of: 0)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let weight = context.weight(0) {
      guard let value = Self.value(weight, context) else { return }
      return try context.setWeight(0, value)
    }
    guard let x = context.centred(0, zeroPoint: 2) else { return }
    context.set(0, x)
  }

  /// The numbers of a quantised constant; nil where they cannot be written as whole bytes.
  static func value(_ weight: Weight, _ context: ZeroContext) -> Weight? {
    guard let scale = context.weight(1), weight.type.canBeCast(to: .f32), scale.type.canBeCast(to: .f32),
      let factors = spread(scale, over: weight, context)
    else { return nil }
    var numbers = weight.cast(to: .f32)
    if context.node.input(2) != nil {
      guard let zeroPoint = context.weight(2), zeroPoint.type.canBeCast(to: .f32),
        let shift = spread(zeroPoint, over: weight, context)
      else { return nil }
      let minus = Weight.floats([-1], shape: Shape(Array(repeating: 1, count: weight.shape.rank)))
      numbers = numbers.adding(shift.cast(to: .f32).multiplied(by: minus))
    }
    return numbers.multiplied(by: factors.cast(to: .f32))
  }

  /// Scales shaped to broadcast over a weight; nil for blocks.
  private static func spread(_ scale: Weight, over weight: Weight, _ context: ZeroContext) -> Weight? {
    let rank = weight.shape.rank
    if scale.shape.elementCount == 1 { return scale.reshaped(Shape(Array(repeating: 1, count: rank))) }
    guard scale.shape.rank == 1, let place = context.axis(default: 1, rank: rank),
      scale.shape[0] == weight.shape[place]
    else { return nil }
    var extents = Array(repeating: 1, count: rank)
    extents[place] = scale.shape[0]
    return scale.reshaped(Shape(extents))
  }

  static let all = [
    DequantizeLinear(name: OperatorName("DequantizeLinear")),
    DequantizeLinear(name: OperatorName("DequantizeLinear", domain: "com.microsoft")),
  ]
}
