#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension UnaryOperator {
  static let all: [UnaryOperator] = arithmetic + trigonometric + activations + tests + fused

  private static let arithmetic = [
    UnaryOperator("Neg", "-x", since: 13, isExact: true, sizes: { $0.multiplied(by: Size(-1)) }) { x, _ in -x },
    UnaryOperator("Abs", "|x|", since: 13, isExact: true, sizes: absolute) { x, _ in abs(x) },
    UnaryOperator("Sign", "sign of x: -1, 0 or 1", since: 13, isExact: true) { x, _ in x > 0 ? 1 : x < 0 ? -1 : x },
    UnaryOperator("Exp", "e^x", since: 13) { x, _ in exp(x) },
    UnaryOperator("Log", "ln x", since: 13) { x, _ in log(x) },
    UnaryOperator("Sqrt", "√x", since: 13) { x, _ in x.squareRoot() },
    UnaryOperator("Reciprocal", "1 / x", since: 13) { x, _ in 1 / x },
    UnaryOperator("Floor", "⌊x⌋", since: 13) { x, _ in x.rounded(.down) },
    UnaryOperator("Ceil", "⌈x⌉", since: 13) { x, _ in x.rounded(.up) },
    UnaryOperator("Round", "x to the nearest integer, halves to the even one", since: 22) { x, _ in
      x.rounded(.toNearestOrEven)
    },
    UnaryOperator("Erf", "erf x", since: 13) { x, _ in erf(x) },
  ]

  private static let trigonometric = [
    UnaryOperator("Sin", "sin x", since: 22) { x, _ in sin(x) },
    UnaryOperator("Cos", "cos x", since: 22) { x, _ in cos(x) },
    UnaryOperator("Tan", "tan x", since: 22) { x, _ in tan(x) },
    UnaryOperator("Asin", "arcsin x", since: 22) { x, _ in asin(x) },
    UnaryOperator("Acos", "arccos x", since: 22) { x, _ in acos(x) },
    UnaryOperator("Atan", "arctan x", since: 22) { x, _ in atan(x) },
    UnaryOperator("Sinh", "sinh x", since: 22) { x, _ in sinh(x) },
    UnaryOperator("Cosh", "cosh x", since: 22) { x, _ in cosh(x) },
    UnaryOperator("Asinh", "arsinh x", since: 22) { x, _ in asinh(x) },
    UnaryOperator("Acosh", "arcosh x", since: 22) { x, _ in acosh(x) },
    UnaryOperator("Atanh", "artanh x", since: 22) { x, _ in atanh(x) },
    UnaryOperator("Tanh", "tanh x", since: 13) { x, _ in tanh(x) },
  ]

  private static let activations = [
    UnaryOperator("Sigmoid", "1 / (1 + e^-x)", since: 13) { x, _ in 1 / (1 + exp(-x)) },
    UnaryOperator("HardSigmoid", "max(0, min(1, alpha·x + beta)) (alpha 0.2, beta 0.5)", since: 22) { x, node in
      max(0, min(1, node.number("alpha", default: 0.2) * x + node.number("beta", default: 0.5)))
    },
    UnaryOperator("HardSwish", "x·max(0, min(1, x/6 + 1/2))", since: 22) { x, _ in x * max(0, min(1, x / 6 + 0.5)) },
    UnaryOperator("Relu", "max(x, 0)", since: 14, isExact: true) { x, _ in max(x, 0) },
    UnaryOperator("ThresholdedRelu", "x if x > alpha else 0 (alpha 1)", since: 22) { x, node in
      x > node.number("alpha", default: 1) ? x : 0
    },
    UnaryOperator("LeakyRelu", "x if x ≥ 0 else alpha·x (alpha 0.01)", since: 16) { x, node in
      x >= 0 ? x : node.number("alpha", default: 0.01) * x
    },
    UnaryOperator("Elu", "x if x > 0 else alpha·(e^x - 1) (alpha 1)", since: 22) { x, node in
      x > 0 ? x : node.number("alpha", default: 1) * (exp(x) - 1)
    },
    UnaryOperator("Celu", "max(0, x) + min(0, alpha·(e^(x/alpha) - 1)) (alpha 1)", since: 28) { x, node in
      let alpha = node.number("alpha", default: 1)
      return max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
    },
    UnaryOperator("Selu", "gamma·(x if x > 0 else alpha·(e^x - 1)) (gamma 1.0507, alpha 1.6733)", since: 22) {
      x, node in
      node.number("gamma", default: 1.0507010) * (x > 0 ? x : node.number("alpha", default: 1.6732632) * (exp(x) - 1))
    },
    UnaryOperator("Softplus", "ln(1 + e^x)", since: 22) { x, _ in log(1 + exp(x)) },
    UnaryOperator("Softsign", "x / (1 + |x|)", since: 22) { x, _ in x / (1 + abs(x)) },
    UnaryOperator("Shrink", "x + bias if x < -lambd, x - bias if x > lambd, else 0 (bias 0, lambd 0.5)", since: 9) {
      x, node in
      let bias = node.number("bias", default: 0)
      let bound = node.number("lambd", default: 0.5)
      return x < -bound ? x + bias : x > bound ? x - bias : 0
    },
    UnaryOperator("Mish", "x·tanh(ln(1 + e^x))", since: 22) { x, _ in x * tanh(log(1 + exp(x))) },
    UnaryOperator("Swish", "x / (1 + e^(-alpha·x)) (alpha 1)", since: 24) { x, node in
      x / (1 + exp(-node.number("alpha", default: 1) * x))
    },
    UnaryOperator("Gelu", "x·Φ(x); approximate = tanh: x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))", since: 20) {
      x, node in
      node.string("approximate") == "tanh"
        ? 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
        : 0.5 * x * (1 + erf(x * 0.5.squareRoot()))
    },
  ]

  private static let tests = [
    UnaryOperator("Not", "not x", since: 1, isExact: true, givesTruth: true, sizes: negated) { x, _ in x == 0 ? 1 : 0 },
    UnaryOperator("BitwiseNot", "every bit of x inverted", since: 18) { x, _ in -1 - x },
  ]

  /// ONNX Runtime's own activations of one operand.
  private static let fused = [
    UnaryOperator("Gelu", "x·Φ(x)", domain: "com.microsoft", source: "ONNX Runtime, com.microsoft.Gelu-1") { x, _ in
      0.5 * x * (1 + erf(x * 0.5.squareRoot()))
    },
    UnaryOperator(
      "QuickGelu", "x / (1 + e^(-alpha·x)) (alpha 1.702)", domain: "com.microsoft",
      source: "ONNX Runtime, com.microsoft.QuickGelu-1"
    ) { x, node in x / (1 + exp(-node.number("alpha", default: 1.702) * x)) },
  ]

  private static func absolute(_ size: Size) -> Size? {
    size.isNonNegative ? size : size.upperBound.flatMap { $0 <= 0 ? size.multiplied(by: Size(-1)) : nil }
  }

  private static func negated(_ truth: Size) -> Size? { truth.constant.map { Size($0 == 0 ? 1 : 0) } }
}
