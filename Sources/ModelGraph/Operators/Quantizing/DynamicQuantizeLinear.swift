import PollardBase
import TensorStorage

/// Rounds numbers to 8 bits by a scale taken from their own range, which always includes zero.
///
/// The range sees every element: removing one changes the scale, and so every other, unless it is certainly zero.
struct DynamicQuantizeLinear: Operator {
  let name = OperatorName("DynamicQuantizeLinear")
  let documentation = OperatorDocumentation(
    summary: "`y = round(x / y_scale) + y_zero_point`, the scale from the range of x and 0.",
    shapes: "x, y: `[…]`, equal; y_scale, y_zero_point: scalars.",
    axes: "The last axis passes and is seen by the range; other axes pass and are pinned.",
    zeros: "y is the zero point where x is zero.", source: "ONNX DynamicQuantizeLinear-11")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    context.set(0, ValueType(.u8, context.shape(0)))
    context.set(1, ValueType(.f32, []))
    context.set(2, ValueType(.u8, []))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank > 0 else { return }
    context.pass(0)
    for axis in 0..<(rank - 1) { context.pin(.input(0, axis), .reduced) }
    context.observe(.input(0, rank - 1))
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let last = x.shape.indices.last else { return }
    let y = x.withoutConstants
    context.setCentred(0, y, zeroPoint: context.node.outputs.count > 2 ? context.node.outputs[2] : nil)
    try context.recordObservation(y, axis: last, slot: 0)
  }
}

extension ZeroContext {
  /// Records that every position along an axis is seen by the result unless it is certainly zero.
  mutating func recordObservation(_ state: TokenState, axis: Int, slot: Int) throws(FormatError) {
    let others = Set(state.shape.indices.filter { $0 != axis })
    let joined = state.joining(others, shape: state.shape.indices.map { $0 == axis ? state.shape[axis] : 1 }).holding([
      axis
    ])
    guard joined.packed.count == state.shape[axis] else { return }
    let terms = joined.packed.map { $0 == .constant ? .unknown : $0 }
    record(
      ContractionTerms(
        node: index, activationSlot: slot, terms: terms, consumerZero: Array(repeating: false, count: terms.count),
        producerZero: terms.map { $0 == .zero }, activationPoisoned: terms.map { $0 == .poisoned }))
  }
}
