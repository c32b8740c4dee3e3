import PollardBase

/// Selects slices by tuples of indices.
struct GatherND: Operator {
  let name = OperatorName("GatherND")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y[b…, i…, …] = x[b…, indices[b…, i…, :], …]` with `batch_dims` leading axes b.",
    shapes: "x: `[b…, d₁ … d_k, s…]`; indices: `[b…, i…, k]`; y: `[b…, i…, s…]`.",
    axes: "Batch axes and the axes after the k indexed ones pass; indexed axes are pinned.",
    zeros: "Only what all elements of x share.", source: "ONNX GatherND-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    let batch = context.node.integer("batch_dims", default: 0)
    guard let data = context.shape(0), let indices = context.shape(1), let count = indices.last?.constant, batch >= 0,
      count >= 0, batch + count <= data.count, batch < indices.count
    else { return context.set(0, ValueType(element, nil)) }
    context.set(0, ValueType(element, Array(indices.dropLast()) + Array(data[(batch + count)...])))
  }

  func relate(_ context: inout AxisContext) {
    let batch = context.node.integer("batch_dims", default: 0)
    guard let data = context.rank(0), let indices = context.rank(1), indices > 0, let output = context.outputRank(0),
      let count = context.size(.input(1, indices - 1))?.constant, batch >= 0, count >= 0, batch + count <= data
    else { return }
    for axis in 0..<(indices - 1) { context.unify(.input(1, axis), .output(0, axis)) }
    context.pin(.input(1, indices - 1), .gathered)
    for axis in 0..<batch { context.unify(.input(0, axis), .output(0, axis)) }
    for axis in batch..<(batch + count) { context.pin(.input(0, axis), .gathered) }
    for axis in (batch + count)..<data { context.unify(.input(0, axis), .output(0, output - data + axis)) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let x = try context.state(0), let shape = context.resultShape() { context.set(0, x.joined(shape: shape)) }
  }
}
