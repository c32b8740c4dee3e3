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
    guard let condition = context.elements(0), let a = context.elements(1), let b = context.elements(2) else { return }
    let counts = [condition.count, a.count, b.count]
    let count = counts.contains(0) ? 0 : counts.max() ?? 0
    guard counts.allSatisfy({ $0 == 1 || $0 == count }) else { return }
    context.setElements(
      0,
      (0..<count).map { i in
        let test = condition[condition.count == 1 ? 0 : i]
        let x = a[a.count == 1 ? 0 : i]
        let y = b[b.count == 1 ? 0 : i]
        if let truth = test.size?.constant {
          let chosen = truth != 0 ? x : y
          return SymbolicElement(chosen.size, origins: chosen.origins.union(test.origins))
        }
        return SymbolicElement(
          x.size == y.size ? x.size : nil, origins: test.origins.union(x.origins).union(y.origins))
      })
  }

  func relate(_ context: inout AxisContext) {
    for slot in 0..<3 { context.passBroadcasting(slot) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let condition = try context.state(0), let a = try context.state(1), let b = try context.state(2),
      let shape = context.resultShape()
    else { return }
    let result = TokenState.combined([condition, a, b], shape: shape) { elements in
      switch elements[0].0 {
      case .zero: return elements[2]
      case .constant where elements[0].1 != 0: return elements[1]
      case .constant, .unknown, .poisoned: return TokenState.join(elements[1], elements[2])
      }
    }
    if let result { context.set(0, result) }
  }
}
