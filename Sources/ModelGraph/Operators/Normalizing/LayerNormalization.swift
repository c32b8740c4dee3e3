import PollardBase

/// Normalisation to mean zero and variance one over the last axes, then scaled and shifted.
struct LayerNormalization: Operator {
  let name = OperatorName("LayerNormalization")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y = (x − mean x) / √(variance x + epsilon) · scale + bias` over the axes from `axis` on.",
    shapes: "x, y: `[…, C]`; scale, bias: `[C]`.",
    axes: "Axes before `axis` are themselves; the others are pinned.", zeros: "Unknown: the mean shifts zeros.",
    source: "Ba, Kiros & Hinton 2016, eq. 3-4; ONNX LayerNormalization-17")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
    setStatistics(&context, type, from: 1)
    try requireScales(context, type, slots: [1, 2])
  }

  func relate(_ context: inout AxisContext) { relateNormalised(&context, slots: [1, 2], statistics: 1) }
}

extension Operator {
  /// Checks that per-channel operands fit the normalised axes.
  func requireScales(_ context: InferenceContext, _ type: ValueType, slots: [Int]) throws(GraphError) {
    guard let shape = type.shape else { return }
    let axis = try context.normalised(context.node.integer("axis", default: -1), rank: shape.count)
    for slot in slots {
      guard let scale = context.shape(slot) else { continue }
      if scale != Array(shape[axis...]), scale.allSatisfy({ $0.constant != nil }) {
        throw context.failure(expected: "\(Array(shape[axis...])) in operand \(slot)", found: "\(scale)")
      }
    }
  }

  /// Sets the types of the mean and of the inverse of the standard deviation, where they are wanted.
  func setStatistics(_ context: inout InferenceContext, _ type: ValueType, from first: Int) {
    guard context.node.outputs.count > first else { return }
    var shape = type.shape
    if let found = shape, let axis = context.axis(default: -1, rank: found.count) {
      for place in axis..<found.count { shape?[place] = 1 }
    }
    for slot in first..<context.node.outputs.count { context.set(slot, ValueType(.f32, shape)) }
  }

  /// Axes before `axis` pass, the others are normalised over.
  func relateNormalised(_ context: inout AxisContext, slots: [Int], statistics: Int? = nil) {
    guard let rank = context.rank(0), let first = context.axis(default: -1, rank: rank) else { return }
    for axis in 0..<rank {
      context.unify(.input(0, axis), .output(0, axis))
      if axis >= first {
        context.pin(.input(0, axis), .norm)
        for slot in slots {
          // Scales are right-aligned with what is normalised, and may broadcast.
          guard let scale = context.rank(slot), scale + axis >= rank else { continue }
          context.unifyBroadcasting(.input(slot, scale + axis - rank), .input(0, axis))
        }
      } else if let statistics {
        for slot in statistics..<max(statistics, context.node.outputs.count)
        where context.outputRank(slot) == rank {
          context.unify(.output(slot, axis), .input(0, axis))
        }
      }
    }
  }
}
