import PollardBase
import TensorStorage

/// Matrix product with a factor, of operands whose last axes may be exchanged, as ONNX Runtime fuses it.
struct FusedMatMul: Operator {
  let name: OperatorName
  var requiredInputs: Int { 2 }
  let documentation = OperatorDocumentation(
    summary: "`y = alpha · a b` with `transA` and `transB` exchanging the last two axes of a and b.",
    shapes: "a: `[…, M, K]`; b: `[…, K, N]`, or exchanged; y: `[…, M, N]`.",
    axes:
      "K is contracted; M and N pass; leading axes as for elementwise operators; all pinned with `transBatchA` or `transBatchB`.",
    zeros: "As MatMul.", source: "ONNX Runtime, com.microsoft.FusedMatMul-1")

  private func product(_ node: Node) -> MatrixProduct? {
    guard node.integer("transBatchA", default: 0) == 0, node.integer("transBatchB", default: 0) == 0 else { return nil }
    return MatrixProduct(
      transposesLeft: node.integer("transA", default: 0) != 0, transposesRight: node.integer("transB", default: 0) != 0)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    context.set(0, ValueType(context.element(0) ?? .f32, try product(context.node)?.shape(context)))
  }

  func relate(_ context: inout AxisContext) { product(context.node)?.relate(&context) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var state = try product(context.node)?.state(&context) else { return }
    let alpha = context.node.number("alpha", default: 1)
    if alpha != 1 {
      for index in state.packed.indices { state.packedConstants[index] *= alpha }
    }
    context.set(0, state)
  }

  static let all = [
    FusedMatMul(name: OperatorName("FusedMatMul", domain: "com.microsoft")),
    FusedMatMul(name: OperatorName("TransposeMatMul", domain: "com.microsoft")),
  ]
}
