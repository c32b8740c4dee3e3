import PollardBase

/// Root-mean-square normalisation over the last axes, then scaled; also under the name that ONNX Runtime gave it before ONNX had it.
struct RMSNormalization: Operator {
  let name: OperatorName
  let source: String
  let requiredInputs = 2
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = x / √(mean x² + epsilon) · scale` over the axes from `axis` on.",
      shapes: "x, y: `[…, C]`; scale: `[C]`.",
      axes: "Axes before `axis` are themselves; the others are pinned.",
      zeros: "A row that is zero everywhere stays zero.", source: source, family: "Root-mean-square normalisation")
  }

  static let all = [
    RMSNormalization(
      name: OperatorName("RMSNormalization"), source: "Zhang & Sennrich 2019, eq. 4; ONNX RMSNormalization-23"),
    RMSNormalization(
      name: OperatorName("SimplifiedLayerNormalization"), source: "ONNX Runtime, SimplifiedLayerNormalization-1"),
  ]

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
    setStatistics(&context, type, from: 1)
    try requireScales(context, type, slots: [1])
  }

  func relate(_ context: inout AxisContext) { relateNormalised(&context, slots: [1], statistics: 1) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let first = context.axis(default: -1, rank: x.shape.count) else { return }
    let scale = try context.state(1)
    var outer = x.shape
    for axis in first..<outer.count { outer[axis] = 1 }
    var rows = x.joining(Set(first..<outer.count), shape: outer)
    for index in rows.packed.indices where rows.packed[index] == .constant { rows.packed[index] = .unknown }
    let operands = [rows] + (scale.map { [$0] } ?? [])
    let result = TokenState.combined(operands, shape: x.shape) { parts in
      let worst = parts.map(\.0).max() ?? .unknown
      return worst == .poisoned ? (.poisoned, 0) : parts[0].0 == .zero ? (.zero, 0) : (.unknown, 0)
    }
    if let result { context.set(0, result) }
  }
}
