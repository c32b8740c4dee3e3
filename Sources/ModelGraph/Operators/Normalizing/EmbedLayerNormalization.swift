import PollardBase

/// Word, position and segment embeddings added and normalised, as ONNX Runtime fuses them.
struct EmbedLayerNormalization: Operator {
  let name = OperatorName("EmbedLayerNormalization", domain: "com.microsoft")
  let documentation = OperatorDocumentation(
    summary: "`y = layer norm of (word[ids] + position[places] + segment[segments]) · scale + shift`.",
    shapes: "ids, segments, mask: `[B, S]`; tables: `[n, C]`; scale, shift: `[C]`; y: `[B, S, C]`.",
    axes: "C is pinned; rows of the tables are pinned; batch and sequence are themselves.", zeros: "Unknown.",
    source: "ONNX Runtime, com.microsoft.EmbedLayerNormalization-1")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(2) ?? .f32
    var shape: [Size]?
    if let ids = context.shape(0), let table = context.shape(2), ids.count == 2, table.count == 2 {
      shape = ids + [table[1]]
    }
    context.set(0, ValueType(element, shape))
    context.set(1, ValueType(.i32, context.shape(0).flatMap { $0.first.map { [$0] } }))
    context.set(2, ValueType(element, shape))
  }

  func relate(_ context: inout AxisContext) {
    guard context.rank(0) == 2, context.outputRank(0) == 3 else { return }
    for slot in [0, 1, 7, 8] where context.rank(slot) == 2 {
      for axis in 0..<2 { context.unifyBroadcasting(.input(slot, axis), .output(0, axis)) }
    }
    for slot in [2, 3, 4] where context.rank(slot) == 2 {
      context.pin(.input(slot, 0), .gathered)
      context.unify(.input(slot, 1), .output(0, 2))
    }
    for slot in [5, 6] where context.rank(slot) == 1 { context.unify(.input(slot, 0), .output(0, 2)) }
    context.pin(.output(0, 2), .norm)
    if context.outputRank(1) == 1 { context.unify(.output(1, 0), .output(0, 0)) }
    if context.outputRank(2) == 3 { for axis in 0..<3 { context.unify(.output(2, axis), .output(0, axis)) } }
  }
}
