import PollardBase

/// Writes new entries of a cache behind those that are there.
struct TensorScatter: Operator {
  let name = OperatorName("TensorScatter")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y = past`, then `y[b, …, start[b] + i, …] = update[b, …, i, …]` along `axis` (-2).",
    shapes: "past, y: `[B, …, T, …]`; update: `[B, …, S, …]`; start: `[B]`, may be left out.",
    axes: "Axis `axis` is pinned; the others are themselves.", zeros: "What past and update share.",
    source: "ONNX TensorScatter-24")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let place = context.axis(default: -2, rank: rank) else { return }
    context.pass(0)
    context.pin(.input(0, place), .gathered)
    for axis in 0..<rank {
      if axis == place {
        context.pin(.input(1, axis), .gathered)
      } else {
        context.unify(.input(1, axis), .output(0, axis))
      }
    }
    if context.rank(2) == 1 { context.unify(.input(2, 0), .input(0, 0)) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let past = try context.state(0), let update = try context.state(1), let shape = context.resultShape(),
      let place = context.axis(default: -2, rank: shape.count)
    else { return }
    var one = shape
    one[place] = 1
    let parts = [past, update].map { $0.joining([place], shape: $0.shape.count == one.count ? one : $0.shape) }
    if let result = TokenState.combined(parts, shape: shape, { TokenState.join($0[0], $0[1]) }) {
      context.set(0, result)
    }
  }
}
