import PollardBase
import TensorStorage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An operator that computes each element of its result from the same element of its operand.
///
/// Axes: every axis of the operand is that axis of the result. Zeros: zero stays zero exactly when the function of zero is zero; a constant
/// becomes the function of the constant.
struct UnaryOperator: Operator {
  let name: OperatorName
  let formula: String
  let source: String
  /// The function on one number, as precise as the standard library; decides what zeros and constants become.
  let function: @Sendable (Float, Node) -> Float

  init(
    _ name: String, _ formula: String, since version: Int, _ function: @escaping @Sendable (Float, Node) -> Float
  ) {
    self.name = OperatorName(name)
    self.formula = formula
    self.source = "ONNX \(name)-\(version)"
    self.function = function
  }

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)`, element by element.", shapes: "x, y: `[…]`, equal.", axes: "Every axis is itself.",
      zeros: "`f(0)` if x is zero, `f(c)` if x is the constant c, never zero by rounding.", source: source)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
  }

  func relate(_ context: inout AxisContext) {
    for axis in 0..<(context.rank(0) ?? 0) { context.unify(.input(0, axis), .output(0, axis)) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0) else { return }
    context.set(0, x.mapped(isExact: Self.exact.contains(name.name)) { function($0, context.node) })
  }

  /// Operators that give zero only where the function is zero.
  private static let exact: Set<String> = ["Neg", "Abs", "Relu", "Not"]

  static let all: [UnaryOperator] = [
    UnaryOperator("Neg", "-x", since: 13) { x, _ in -x },
    UnaryOperator("Abs", "|x|", since: 13) { x, _ in abs(x) },
    UnaryOperator("Exp", "e^x", since: 13) { x, _ in expf(x) },
    UnaryOperator("Log", "ln x", since: 13) { x, _ in logf(x) },
    UnaryOperator("Sqrt", "√x", since: 13) { x, _ in x.squareRoot() },
    UnaryOperator("Reciprocal", "1 / x", since: 13) { x, _ in 1 / x },
    UnaryOperator("Sin", "sin x", since: 22) { x, _ in sinf(x) },
    UnaryOperator("Cos", "cos x", since: 22) { x, _ in cosf(x) },
    UnaryOperator("Erf", "erf x", since: 13) { x, _ in erff(x) },
    UnaryOperator("Tanh", "tanh x", since: 13) { x, _ in tanhf(x) },
    UnaryOperator("Sigmoid", "1 / (1 + e^-x)", since: 13) { x, _ in 1 / (1 + expf(-x)) },
    UnaryOperator("Relu", "max(x, 0)", since: 14) { x, _ in max(x, 0) },
    UnaryOperator("LeakyRelu", "x if x ≥ 0 else alpha·x (alpha 0.01)", since: 16) { x, node in
      x >= 0 ? x : (node.float("alpha") ?? 0.01) * x
    },
    UnaryOperator("Elu", "x if x > 0 else alpha·(e^x - 1) (alpha 1)", since: 22) { x, node in
      x > 0 ? x : (node.float("alpha") ?? 1) * (expf(x) - 1)
    },
    UnaryOperator("Softplus", "ln(1 + e^x)", since: 22) { x, _ in logf(1 + expf(x)) },
    UnaryOperator("Mish", "x·tanh(ln(1 + e^x))", since: 22) { x, _ in x * tanhf(logf(1 + expf(x))) },
    UnaryOperator("Swish", "x / (1 + e^(-alpha·x)) (alpha 1)", since: 24) { x, node in
      x / (1 + expf(-(node.float("alpha") ?? 1) * x))
    },
    UnaryOperator("Gelu", "x·Φ(x); approximate = tanh: x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))", since: 20) {
      x, node in
      node.string("approximate") == "tanh"
        ? 0.5 * x * (1 + tanhf(0.7978845608 * (x + 0.044715 * x * x * x))) : 0.5 * x * (1 + erff(x * 0.70710678))
    },
    UnaryOperator("Not", "not x", since: 1) { x, _ in x == 0 ? 1 : 0 },
  ]
}

extension TokenState {
  /// The states after a function is applied to every element; not-a-number and infinite results are poisoned.
  ///
  /// Only the function of zero is taken for zero. That of another constant may be zero by rounding alone, here and not in another runtime, so
  /// it stays a constant unless the function is exact.
  func mapped(isExact: Bool, _ function: (Float) -> Float) -> TokenState {
    var result = self
    for index in states.indices where states[index] <= .constant {
      let value = function(states[index] == .zero ? 0 : constants[index])
      let isZero = value == 0 && (isExact || states[index] == .zero)
      result.states[index] = isZero ? .zero : value.isFinite ? .constant : .poisoned
      result.constants[index] = value.isFinite ? value : 0
    }
    return result
  }
}
