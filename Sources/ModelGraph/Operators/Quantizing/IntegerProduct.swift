import PollardBase
import TensorStorage

/// Matrix products of quantised operands: zero means equal to the zero point.
struct IntegerProduct: Operator {
  /// Where the operands are.
  struct Slots: Sendable {
    var left = 0
    var right = 1
    var leftZeroPoint: Int?
    var rightZeroPoint: Int?
    /// Vectors along the result's last axis, or scalars.
    var columns: [Int] = []
    /// Scalars, or vectors along the result's rows.
    var rows: [Int] = []
    var resultZeroPoint: Int?
  }

  let name: OperatorName
  let formula: String
  let shapes: String
  let slots: Slots
  let result: ElementType?
  let requiredInputs: Int
  /// Whether the left operand is quantised within the operator, by its own range.
  let isDynamic: Bool

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)`.", shapes: shapes,
      axes: "K is contracted; M and N pass; scales, zero points and bias follow N."
        + (isDynamic ? " The range of a sees K." : ""),
      zeros: isDynamic
        ? "As MatMul; a position of K contributes unless its activation is zero."
        : "As MatMul, zero being the zero point.",
      source: name.domain.isEmpty ? "ONNX \(name)-10" : "ONNX Runtime, \(name)-1")
  }

  private var product: MatrixProduct { MatrixProduct(left: slots.left, right: slots.right) }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = result ?? slots.resultZeroPoint.flatMap { context.element($0) } ?? context.element(0) ?? .u8
    context.set(0, ValueType(element, try product.shape(context)))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.outputRank(0), rank >= 2 else { return }
    product.relate(&context)
    for slot in slots.columns + [slots.rightZeroPoint].compactMap({ $0 }) where context.rank(slot) == 1 {
      context.unifyBroadcasting(.input(slot, 0), .output(0, rank - 1))
    }
    for slot in slots.rows + [slots.leftZeroPoint].compactMap({ $0 }) where context.rank(slot) == 1 {
      context.unifyBroadcasting(.input(slot, 0), .output(0, rank - 2))
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var weight = context.weight(slots.right), weight.shape.rank == 2, weight.type.canBeCast(to: .f32) else {
      return
    }
    weight = weight.cast(to: .f32)
    if let slot = slots.rightZeroPoint, context.node.input(slot) != nil {
      guard let zeroPoint = context.weight(slot), zeroPoint.type.canBeCast(to: .f32),
        zeroPoint.shape.elementCount == 1 || zeroPoint.shape.extents == [weight.shape[1]]
      else { return }
      let shift = zeroPoint.cast(to: .f32).reshaped([1, zeroPoint.shape.elementCount])
      weight = weight.adding(shift.multiplied(by: .floats([-1], shape: [1, 1])))
    }
    guard var left = try context.state(slots.left) else { return }
    if let slot = slots.leftZeroPoint { left = context.centred(slots.left, zeroPoint: slot) ?? Self.unknown(left) }
    guard var state = try product.linear(left, weight, &context) else { return }
    if isDynamic, let last = left.shape.indices.last {
      context.dropContractions()
      try context.recordObservation(left, axis: last, slot: slots.left)
    }
    if let bias = biasSlot, context.node.input(bias) != nil {
      guard let addend = try context.state(bias),
        let sum = TokenState.combined([state, addend], shape: state.shape, { (max($0[0].0, $0[1].0, .zero), 0) })
      else { return }
      state = sum
    }
    for index in state.packed.indices where state.packed[index] == .constant { state.packed[index] = .unknown }
    if let slot = slots.resultZeroPoint {
      context.setCentred(0, state, zeroPoint: context.node.input(slot))
    } else {
      context.set(0, state)
    }
  }

  private var biasSlot: Int? { ["DynamicQuantizeMatMul": 4, "MatMulIntegerToFloat": 6][name.name] }

  /// A quantised value of which nothing is known relative to the zero point.
  private static func unknown(_ state: TokenState) -> TokenState {
    TokenState(shape: state.shape, all: state.worst == .poisoned ? .poisoned : .unknown)
  }

  static let all = [
    IntegerProduct(
      name: OperatorName("MatMulInteger"), formula: "(a - a_zero_point)(b - b_zero_point)",
      shapes: "a: `[…, M, K]`; b: `[…, K, N]`; zero points: scalars or `[M]`, `[N]`; y: `[…, M, N]`.",
      slots: Slots(leftZeroPoint: 2, rightZeroPoint: 3), result: .i32, requiredInputs: 2, isDynamic: false),
    IntegerProduct(
      name: OperatorName("QLinearMatMul"), formula: "quantised product of dequantised a and b",
      shapes: "a: `[…, M, K]`; b: `[…, K, N]`; scales, zero points: scalars or vectors; y: `[…, M, N]`.",
      slots: Slots(
        left: 0, right: 3, leftZeroPoint: 2, rightZeroPoint: 5, columns: [4, 6, 7], rows: [1], resultZeroPoint: 7),
      result: nil, requiredInputs: 8, isDynamic: false),
    IntegerProduct(
      name: OperatorName("MatMulIntegerToFloat", domain: "com.microsoft"),
      formula: "(a - a_zero_point)(b - b_zero_point) · a_scale · b_scale + bias",
      shapes: "a: `[…, M, K]`; b: `[K, N]`; scales, zero points: scalars or `[N]`; bias: `[N]`; y: `[…, M, N]`.",
      slots: Slots(leftZeroPoint: 4, rightZeroPoint: 5, columns: [3, 6], rows: [2]), result: .f32, requiredInputs: 4,
      isDynamic: false),
    IntegerProduct(
      name: OperatorName("DynamicQuantizeMatMul", domain: "com.microsoft"),
      formula: "quantised a times (b - b_zero_point) · b_scale + bias",
      shapes: "a: `[…, M, K]`; b: `[K, N]`; scale, zero point: scalars or `[N]`; bias: `[N]`; y: `[…, M, N]`.",
      slots: Slots(rightZeroPoint: 3, columns: [2, 4]), result: .f32, requiredInputs: 3, isDynamic: true),
  ]
}
