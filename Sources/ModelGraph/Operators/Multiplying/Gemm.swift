import PollardBase
import TensorStorage

/// Matrix product of two matrices plus a third one that repeats axes of extent 1; ONNX Runtime's fused form ends with an activation.
struct Gemm: Operator {
  let name: OperatorName
  let isFused: Bool
  let requiredInputs = 2

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: isFused
        ? "`y = activation(alpha · a b + beta · c)` with `transA` and `transB`."
        : "`y = alpha · a b + beta · c` with `transA` and `transB` exchanging the axes of a and b.",
      shapes: "a: `[M, K]`; b: `[K, N]`, or exchanged; c: broadcasts to `[M, N]`; y: `[M, N]`.",
      axes: "K is contracted; M and N pass, and are those of c where it does not repeat.",
      zeros: isFused ? "As for Gemm, then unknown unless the activation keeps zero." : "As MatMul, then as Add.",
      source: isFused ? "ONNX Runtime, com.microsoft.FusedGemm-1" : "ONNX Gemm-13")
  }

  private func product(_ node: Node) -> MatrixProduct {
    MatrixProduct(
      transposesLeft: node.integer("transA", default: 0) != 0, transposesRight: node.integer("transB", default: 0) != 0)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let shapes = context.shape(0).flatMap({ a in context.shape(1).map { (a, $0) } }),
      shapes.0.count != 2 || shapes.1.count != 2
    {
      throw context.failure(expected: "two matrices", found: "\(shapes.0) and \(shapes.1)")
    }
    let shape = try product(context.node).shape(context)
    if let shape, let addend = context.shape(2) {
      guard let sum = try context.broadcast([shape, addend]), sum.count == 2 else {
        throw context.failure(expected: "an addend that broadcasts to \(shape)", found: "\(addend)")
      }
    }
    context.set(0, ValueType(context.element(0) ?? .f32, shape))
  }

  func relate(_ context: inout AxisContext) {
    product(context.node).relate(&context)
    context.passBroadcasting(2)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var state = try product(context.node).state(&context) else { return }
    let alpha = context.node.number("alpha", default: 1)
    if alpha != 1 { for index in state.packed.indices { state.packedConstants[index] *= alpha } }
    if context.node.input(2) != nil {
      let beta = context.node.number("beta", default: 1)
      guard let addend = try context.state(2) else { return }
      let sum = TokenState.combined([state, addend], shape: state.shape) { parts in
        let worst = max(parts[0].0, parts[1].0)
        return worst == .constant ? (.constant, parts[0].1 + beta * parts[1].1) : (worst, 0)
      }
      guard let sum else { return }
      state = sum
    }
    if isFused {
      let keepsZero = ["Relu", "LeakyRelu", "Tanh", "Elu"].contains(context.node.string("activation") ?? "")
      for index in state.packed.indices where state.packed[index] <= .constant {
        if state.packed[index] == .constant || !keepsZero { state.packed[index] = .unknown }
        state.packedConstants[index] = 0
      }
    }
    context.set(0, state)
  }

  static let all = [
    Gemm(name: OperatorName("Gemm"), isFused: false),
    Gemm(name: OperatorName("FusedGemm", domain: "com.microsoft"), isFused: true),
  ]
}
