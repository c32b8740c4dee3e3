import PollardBase
import TensorStorage

/// Each channel, or each group of channels, normalised over its own places, then scaled and shifted.
struct InstanceNormalization: Operator {
  let name: OperatorName
  let isGrouped: Bool
  var requiredInputs: Int { 3 }

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = (x - mean x) / √(variance x + epsilon) · scale + shift`, "
        + (isGrouped ? "statistics per group of channels." : "statistics per channel."),
      shapes: "x, y: `[B, C, places…]`; scale, shift: `[C]`" + (isGrouped ? ", `[groups]` below version 21." : "."),
      axes: isGrouped
        ? "The batch passes; the others are pinned." : "Batch and channels are themselves; places are pinned.",
      zeros: isGrouped ? "Unknown." : "The shift where a channel is zero.",
      source: isGrouped
        ? "Wu & He 2018, eq. 2; ONNX GroupNormalization-21"
        : "Ulyanov et al. 2016, eq. 1; ONNX InstanceNormalization-22")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank >= 2 else { return }
    context.pass(0)
    for axis in (isGrouped ? 1 : 2)..<max(rank, 2) { context.pin(.input(0, axis), .norm) }
    for slot in 1...2 where context.rank(slot) == 1 {
      if isGrouped { context.pin(.input(slot, 0), .norm) } else { context.unify(.input(slot, 0), .input(0, 1)) }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard !isGrouped, let x = try context.state(0), x.shape.count >= 2, let scale = try context.state(1),
      let shift = try context.state(2), scale.shape == [x.shape[1]], shift.shape == [x.shape[1]]
    else { return }
    var one = x.shape
    for axis in 2..<one.count { one[axis] = 1 }
    let extents = x.shape.indices.map { $0 == 1 ? x.shape[1] : 1 }
    let channels = x.joining(Set(2..<one.count), shape: one)
    let result = TokenState.combined([channels, scale.reshaped(extents), shift.reshaped(extents)], shape: x.shape) {
      parts in
      if parts.contains(where: { $0.0 == .poisoned }) { return (.poisoned, 0) }
      return parts[0].0 == .zero || parts[1].0 == .zero ? parts[2] : (.unknown, 0)
    }
    if let result { context.set(0, result) }
  }

  static let all = [
    InstanceNormalization(name: OperatorName("InstanceNormalization"), isGrouped: false),
    InstanceNormalization(name: OperatorName("GroupNormalization"), isGrouped: true),
  ]
}
