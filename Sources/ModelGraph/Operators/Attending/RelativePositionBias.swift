import PollardBase

/// A bias of attention scores by head and bucketed distance, as ONNX Runtime fuses T5's.
struct RelativePositionBias: Operator {
  let name = OperatorName("RelativePositionBias", domain: "com.microsoft")
  let requiredInputs = 3
  let documentation = OperatorDocumentation(
    summary: "`y[0, n, i, j] = table[bucket(j - i), n]`.",
    shapes: "table: `[buckets, N]`; query_length, key_length: scalars; y: `[1, N, S, T]`.",
    axes: "N passes; buckets and places are pinned.", zeros: "A column of the table that is zero stays so.",
    source: "Raffel et al. 2020, section 2.1; ONNX Runtime, com.microsoft.RelativePositionBias-1")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let element = context.element(0) ?? .f32
    guard let table = context.shape(0), table.count == 2 else { return context.set(0, ValueType(element, nil)) }
    let queries = context.elements(1)?.first?.size ?? context.dataDependentSize(".queries")
    let keys = context.elements(2)?.first?.size ?? context.dataDependentSize(".keys")
    context.set(0, ValueType(element, [1, table[1], queries, keys]))
  }

  func relate(_ context: inout AxisContext) {
    guard context.rank(0) == 2, context.outputRank(0) == 4 else { return }
    context.pin(.input(0, 0), .gathered)
    context.unify(.input(0, 1), .output(0, 1))
    for axis in [2, 3] { context.pin(.output(0, axis), .gathered) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let table = try context.state(0), let shape = context.resultShape(), table.shape.count == 2, shape.count == 4
    else { return }
    let row = table.joining([0], shape: [1, table.shape[1]]).reshaped([1, table.shape[1], 1, 1])
    if let result = TokenState.combined([row], shape: shape, { $0[0] }) { context.set(0, result) }
  }
}
