import PollardBase
import TensorStorage

/// Matrix product over the last two axes, repeated over the others.
struct MatMul: Operator {
  let name = OperatorName("MatMul")
  let requiredInputs = 2
  let documentation = OperatorDocumentation(
    summary: "`y[…, m, n] = Σ_k a[…, m, k] · b[…, k, n]`, k ascending.",
    shapes: "a: `[…, M, K]`; b: `[…, K, N]`; y: `[…, M, N]`, leading axes broadcast.",
    axes: "K is contracted; M and N pass; leading axes as for elementwise operators.",
    zeros: "Zero when every term has a zero factor and a finite one; shares that add up to one of one number give it.",
    source: "ONNX MatMul-13")

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    context.set(0, ValueType(context.element(0) ?? .f32, try MatrixProduct().shape(context)))
  }

  func relate(_ context: inout AxisContext) { MatrixProduct().relate(&context) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    if let state = try MatrixProduct().state(&context) { context.set(0, state) }
  }
}
