import PollardBase

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An activation of the sum of an operand and a bias along its last axis, as ONNX Runtime fuses them.
struct BiasedActivation: Operator {
  let name: OperatorName
  let formula: String
  let function: @Sendable (Double) -> Double

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)` with `z = x + bias`, element by element.",
      shapes: "x, y: `[…, C]`; bias: `[C]`, may be left out.",
      axes: "Right-aligned axes are the same.", zeros: "Known if both operands are.",
      source: "ONNX Runtime, \(name)-1")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
  }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    if context.node.input(1) != nil { context.passBroadcasting(1) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape() else { return }
    guard context.node.input(1) != nil else { return context.set(0, x.mapped(isExact: false, function)) }
    guard let bias = try context.state(1),
      let sum = TokenState.combined(
        [x, bias], shape: shape,
        { parts in
          let worst = max(parts[0].0, parts[1].0)
          return worst == .constant ? (.constant, parts[0].1 + parts[1].1) : (worst, 0)
        })
    else { return }
    context.set(0, sum.mapped(isExact: false, function))
  }

  static let all = [
    BiasedActivation(name: OperatorName("BiasGelu", domain: "com.microsoft"), formula: "z·Φ(z)") { z in
      0.5 * z * (1 + erf(z * 0.5.squareRoot()))
    },
    BiasedActivation(
      name: OperatorName("FastGelu", domain: "com.microsoft"),
      formula: "z/2·(1 + tanh(0.797885·z + 0.035677·z³))"
    ) { z in 0.5 * z * (1 + tanh(0.797885 * z + 0.035677 * z * z * z)) },
  ]
}
