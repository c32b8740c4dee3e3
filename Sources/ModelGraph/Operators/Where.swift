import PollardBase
import TensorStorage

/// Chooses between two operands by a truth value.
struct Where: Operator {
  let name = OperatorName("Where")
  let requiredInputs = 3
  let documentation = OperatorDocumentation(
    summary: "`y = condition ? a : b`, element by element.",
    shapes: "condition, a, b: `[…]` broadcast together; y: their common shape.",
    axes: "Right-aligned axes are the same; extent 1 repeats.", zeros: "Zero where both a and b are zero.",
    source: "ONNX Where-16")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let shape = try context.broadcast([context.shape(0), context.shape(1), context.shape(2)])
    context.set(0, ValueType(context.element(1) ?? .f32, shape))
    guard let condition = context.constants(0), let a = context.elements(1), let b = context.elements(2) else { return }
    let count = max(condition.count, a.count, b.count)
    guard [condition.count, a.count, b.count].allSatisfy({ $0 == 1 || $0 == count }) else { return }
    context.setElements(
      0,
      (0..<count).map { i in
        condition[condition.count == 1 ? 0 : i] != 0 ? a[a.count == 1 ? 0 : i] : b[b.count == 1 ? 0 : i]
      })
  }

  func relate(_ context: inout AxisContext) {
    for slot in 0..<3 { context.passBroadcasting(slot) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let a = try context.state(1), let b = try context.state(2), let shape = context.resultShape(),
      let indexA = BroadcastIndex(from: a.shape, to: shape), let indexB = BroadcastIndex(from: b.shape, to: shape)
    else { return }
    var result = TokenState(shape: shape, all: .unknown)
    for index in result.states.indices {
      let worst = max(a.states[indexA[index]], b.states[indexB[index]])
      result.states[index] = worst == .constant ? .unknown : worst
    }
    context.set(0, result)
  }
}
