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
    try requireScales(context, type, slots: [1, 2])
  }

  func relate(_ context: inout AxisContext) { relateNormalised(&context, slots: [1, 2]) }
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

  /// Axes before `axis` pass, the others are normalised over.
  func relateNormalised(_ context: inout AxisContext, slots: [Int]) {
    guard let rank = context.rank(0) else { return }
    let wanted = context.node.integer("axis", default: -1)
    let first = wanted < 0 ? wanted + rank : wanted
    for axis in 0..<rank {
      context.unify(.input(0, axis), .output(0, axis))
      guard axis >= first else { continue }
      context.pin(.input(0, axis), .norm)
      for slot in slots where context.rank(slot) != nil { context.unify(.input(slot, axis - first), .input(0, axis)) }
    }
  }
}
