import PollardBase
import TensorStorage

/// Each channel shifted and scaled by statistics that were taken while training.
struct BatchNormalization: Operator {
  let name = OperatorName("BatchNormalization")
  let requiredInputs = 5
  let documentation = OperatorDocumentation(
    summary: "`y = (x - mean) / √(variance + epsilon) · scale + shift`, per channel.",
    shapes: "x, y: `[B, C, …]`; scale, shift, mean, variance: `[C]`.",
    axes: "Every axis is itself; C is that of the vectors. With `training_mode` C is pinned.",
    zeros: "`shift - scale · mean / √(variance + epsilon)` where x is zero; the shift where the scale is zero.",
    source: "Ioffe & Szegedy 2015, algorithm 2; ONNX BatchNormalization-15")

  private func channel(_ rank: Int) -> Int { rank == 1 ? 0 : 1 }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
    for slot in 1..<max(context.node.outputs.count, 1) {
      context.set(slot, ValueType(context.element(3) ?? type.element, context.shape(3)))
    }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank > 0 else { return }
    let axis = channel(rank)
    context.pass(0)
    for slot in 1...4 where context.rank(slot) == 1 { context.unify(.input(slot, 0), .input(0, axis)) }
    if context.node.integer("training_mode", default: 0) != 0
      || context.node.outputs.dropFirst().contains(where: { $0 != nil })
    {
      context.pin(.input(0, axis), .norm)
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard context.node.integer("training_mode", default: 0) == 0, let x = try context.state(0), x.shape.count > 0 else {
      return
    }
    let axis = channel(x.shape.count)
    var vectors: [TokenState] = []
    for slot in 1...4 {
      guard let vector = try context.state(slot), vector.shape == [x.shape[axis]] else { return }
      vectors.append(vector.reshaped(x.shape.indices.map { $0 == axis ? x.shape[axis] : 1 }))
    }
    let epsilon = context.node.number("epsilon", default: 1e-5)
    let result = TokenState.combined([x] + vectors, shape: x.shape) { parts in
      let worst = parts.map(\.0).max() ?? .unknown
      if worst == .poisoned { return (.poisoned, 0) }
      if parts[1...].contains(where: { $0.0 == .unknown }) { return (.unknown, 0) }
      let scale = parts[1]
      let shift = parts[2]
      let mean = parts[3]
      // Without a scale, or where x and the mean are zero, nothing is rounded: the shift comes out.
      if scale.0 == .zero || parts[0].0 == .zero && mean.0 == .zero { return shift }
      if parts[0].0 == .unknown { return (.unknown, 0) }
      let value = (parts[0].1 - mean.1) / (parts[4].1 + epsilon).squareRoot() * scale.1 + shift.1
      return Float(value).isFinite ? (.constant, value) : (.poisoned, 0)
    }
    if let result { context.set(0, result) }
  }
}
