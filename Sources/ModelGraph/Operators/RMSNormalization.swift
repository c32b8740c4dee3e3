import PollardBase

/// Root-mean-square normalisation over the last axes, then scaled.
struct RMSNormalization: Operator {
  let name = OperatorName("RMSNormalization")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y = x / √(mean x² + epsilon) · scale` over the axes from `axis` on.",
    shapes: "x, y: `[…, C]`; scale: `[C]`.",
    axes: "Axes before `axis` are themselves; the others are pinned.",
    zeros: "A row that is zero everywhere stays zero.", source: "Zhang & Sennrich 2019, eq. 4; ONNX RMSNormalization-23"
  )

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
    try requireScales(context, type, slots: [1])
  }

  func relate(_ context: inout AxisContext) { relateNormalised(&context, slots: [1]) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let row = x.shape.last, row > 0,
      [-1, x.shape.count - 1].contains(context.node.integer("axis", default: -1))
    else { return }
    let scale = try context.state(1)
    var result = x
    for start in stride(from: 0, to: x.states.count, by: row) {
      let worst = x.states[start..<start + row].max() ?? .zero
      for index in start..<start + row {
        let poisoned = worst == .poisoned || scale?.states[index - start] == .poisoned
        result.states[index] = poisoned ? .poisoned : worst == .zero ? .zero : .unknown
        result.constants[index] = 0
      }
    }
    context.set(0, result)
  }
}
