import PollardBase

/// Exponentials divided by their sum along one axis.
struct Softmax: Operator {
  let name = OperatorName("Softmax")
  let documentation = OperatorDocumentation(
    summary: "`y = e^x / Σ e^x` along `axis`.", shapes: "x, y: `[…]`, equal.",
    axes: "Every axis is itself; the summed one is pinned.", zeros: "Unknown; a row that is not finite stays so.",
    source: "ONNX Softmax-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0) else { return }
    let wanted = context.node.integer("axis", default: -1)
    for axis in 0..<rank {
      context.unify(.input(0, axis), .output(0, axis))
      if axis == (wanted < 0 ? wanted + rank : wanted) { context.pin(.input(0, axis), .softmax) }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0) else { return }
    let wanted = context.node.integer("axis", default: -1)
    let axis = wanted < 0 ? wanted + x.shape.count : wanted
    guard x.shape.indices.contains(axis) else { return }
    let extent = x.shape[axis]
    let inner = x.shape[(axis + 1)...].reduce(1, *)
    var result = TokenState(shape: x.shape, all: .unknown)
    for index in x.states.indices where x.states[index] == .poisoned {
      let first = index - index / inner % extent * inner
      for place in 0..<extent { result.states[first + place * inner] = .poisoned }
    }
    context.set(0, result)
  }
}
