import PollardBase
import TensorStorage

/// Changes the element type, to that of ONNX's number in the attribute `to` or to that of a second operand.
struct Cast: Operator {
  let name: OperatorName
  /// Whether the type is that of a second operand.
  let isLike: Bool

  init(isLike: Bool = false) {
    name = OperatorName(isLike ? "CastLike" : "Cast")
    self.isLike = isLike
  }

  var requiredInputs: Int { isLike ? 2 : 1 }
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: isLike ? "`y = x` in the element type of a second operand." : "`y = x` in another element type.",
      shapes: isLike ? "x, y: `[…]`, equal; like: any." : "x, y: `[…]`, equal.", axes: "Every axis is itself.",
      zeros: "Zero stays zero; other constants stay in types that hold them.",
      source: isLike ? "ONNX CastLike-24" : "ONNX Cast-24")
  }

  /// Element types by ONNX's number.
  static let types: [Int: ElementType] = [
    1: .f32, 2: .u8, 3: .i8, 4: .u16, 5: .i16, 6: .i32, 7: .i64, 8: .string, 9: .bool, 10: .f16, 11: .f64, 12: .u32,
    13: .u64, 14: .c64, 15: .c128, 16: .bf16, 17: .f8e4m3, 18: .f8e4m3fnuz, 19: .f8e5m2, 20: .f8e5m2fnuz, 21: .u4,
    22: .i4, 23: .f4, 24: .f8e8m0, 25: .u2, 26: .i2,
  ]

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    var target = context.element(1)
    if !isLike {
      target = Self.types[context.node.integer("to", default: 0)]
      if target == nil {
        throw context.failure(
          .unsupported, expected: "an element type number", found: "\(context.node.integer("to", default: 0))")
      }
    }
    guard let target else { return }
    context.set(0, ValueType(target, context.shape(0)))
    if Self.follows(target) { context.setElements(0, context.elements(0)) }
  }

  /// Types in which shape numbers stay what they are; truth values change them.
  private static func follows(_ type: ElementType) -> Bool { [.i64, .i32, .u32, .u64].contains(type) }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    if isLike { context.ignore(1) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var x = try context.state(0) else { return }
    let target = isLike ? context.elementType(1) : Self.types[context.node.integer("to", default: 0)]
    if target != .f32, target != .f64 { x = x.withoutConstants }
    context.set(0, x)
  }
}

extension Attribute {
  /// The attribute `to` of Cast for an element type, by ONNX's number of it.
  public static func onnxType(_ type: ElementType) -> Attribute {
    .integer(Cast.types.first { $0.value == type }?.key ?? 0)
  }
}
