import PollardBase
import TensorStorage

/// Changes the element type. The attribute `to` holds ONNX's number of the type.
struct Cast: Operator {
  let name = OperatorName("Cast")
  let documentation = OperatorDocumentation(
    summary: "`y = x` in another element type.", shapes: "x, y: `[…]`, equal.", axes: "Every axis is itself.",
    zeros: "Zero stays zero; other constants stay in types that hold them.", source: "ONNX Cast-24")

  /// Element types by ONNX's number, as far as graphs compute with them.
  static let types: [Int: ElementType] = [
    1: .f32, 2: .u8, 3: .i8, 4: .u16, 5: .i16, 6: .i32, 7: .i64, 9: .bool, 10: .f16, 11: .f64, 12: .u32, 13: .u64,
    16: .bf16,
  ]

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let target = Self.types[context.node.integer("to", default: 0)] else {
      throw context.failure(
        .unsupported, expected: "an element type number", found: "\(context.node.integer("to", default: 0))")
    }
    context.set(0, ValueType(target, context.shape(0)))
    if !target.isFloatingPoint { context.setElements(0, context.elements(0)) }
  }

  func relate(_ context: inout AxisContext) {
    for axis in 0..<(context.rank(0) ?? 0) { context.unify(.input(0, axis), .output(0, axis)) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var x = try context.state(0) else { return }
    let target = Self.types[context.node.integer("to", default: 0)]
    if target != .f32, target != .f64 {
      for index in x.states.indices where x.states[index] == .constant {
        x.states[index] = .unknown
        x.constants[index] = 0
      }
    }
    context.set(0, x)
  }
}

extension Attribute {
  /// The attribute `to` of Cast for an element type, by ONNX's number of it.
  public static func onnxType(_ type: ElementType) -> Attribute {
    .integer(Cast.types.first { $0.value == type }?.key ?? 0)
  }
}
