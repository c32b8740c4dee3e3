import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// The operators on one operand, element by element.
let unaryNames = [
  "Neg", "Abs", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh",
  "Asinh",
  "Acosh", "Atanh", "Erf", "Tanh", "Sigmoid", "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu",
  "HardSigmoid", "HardSwish", "Shrink", "Softsign", "Softplus", "Mish", "Swish", "Gelu", "Not", "BitwiseNot", "Sign",
  "Floor", "Ceil", "Round", "IsNaN", "IsInf",
]

/// The kernel that computes a node's whole function, or nil when there is none.
func kernelOperation(of node: Node) -> UnaryOperation? {
  guard node.op.domain.isEmpty else { return nil }
  switch node.op.name {
  case "Neg": return .negate
  case "Abs": return .absolute
  case "Exp": return .exponential
  case "Log": return .logarithm
  case "Sqrt": return .squareRoot
  case "Reciprocal": return .reciprocal
  case "Sin": return .sine
  case "Cos": return .cosine
  case "Tan": return .tangent
  case "Asin": return .arcsine
  case "Acos": return .arccosine
  case "Atan": return .arctangent
  case "Sinh": return .hyperbolicSine
  case "Cosh": return .hyperbolicCosine
  case "Asinh": return .inverseHyperbolicSine
  case "Acosh": return .inverseHyperbolicCosine
  case "Atanh": return .inverseHyperbolicTangent
  case "Mish": return .mish
  case "Erf": return .errorFunction
  case "Tanh": return .hyperbolicTangent
  case "Sigmoid": return .sigmoid
  case "Relu": return .relu
  case "Softplus": return .softplus
  case "Floor": return .floor
  case "Ceil": return .ceil
  case "Round": return .round
  case "Sign": return .sign
  case "Swish":
    switch node.float("alpha") ?? 1 {
    case 1: return .silu
    case 1.702: return .quickGelu
    default: return nil
    }
  case "Gelu": return node.string("approximate") == "tanh" ? .geluTanh : .geluExact
  default: return nil
  }
}

func evaluateUnary(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let node = context.node
  switch node.op.name {
  case "Not":
    guard x.type == .bool else { throw context.failure(.typeMismatch, expected: "BOOL", found: "\(x.type)") }
    return try x.map(context.memory) { (value: UInt8) in UInt8(value == 0 ? 1 : 0) }
  case "IsNaN", "IsInf": return try classify(x, context)
  default: break
  }
  switch x.type {
  case .f32, .f64: return try evaluateFloats(x, context)
  default:
    guard let element = x.type.integerElement else {
      throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)")
    }
    return try evaluateIntegers(x, element, context)
  }
}

/// Functions with parameters, from those of the kernels.
private func evaluateFloats(_ x: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let memory = context.memory
  if let operation = kernelOperation(of: context.node) { return try x.mapped(operation, memory) }
  func number(_ name: String, _ value: Float) -> Double { Double(context.node.float(name) ?? value) }
  /// `above · x`, and `below · (e^x - 1)` where x is not above zero.
  func exponentialBelowZero(_ below: Double, above: Double) throws -> Tensor {
    try combined(x, x.mapped(.exponentialMinusOne, memory), context) { value, power in
      value <= 0 ? below * power : above * value
    }
  }
  switch context.node.op.name {
  case "Elu": return try exponentialBelowZero(number("alpha", 1), above: 1)
  case "Celu":
    let alpha = number("alpha", 1)
    let powers = try mapped(x, context) { $0 / alpha }.mapped(.exponentialMinusOne, memory)
    return try combined(x, powers, context) { value, power in value > 0 ? value : alpha * power }
  case "Selu":
    let (alpha, gamma) = (number("alpha", 1.67326319217681884765625), number("gamma", 1.05070102214813232421875))
    return try exponentialBelowZero(gamma * alpha, above: gamma)
  case "Swish": return try swish(x, context.node.float("alpha") ?? 1, context)
  default:
    let function = try arithmeticFunction(context.node.op.name, number, context)
    return try mapped(x, context, function)
  }
}

/// `x · sigmoid(alpha · x)` of a tensor of F32 or F64.
func swish(_ x: Tensor, _ alpha: Float, _ context: EvaluationContext) throws -> Tensor {
  guard x.type.floatElement != nil else {
    throw context.failure(.typeMismatch, expected: "floating-point numbers", found: "\(x.type)")
  }
  if alpha == 1 { return try x.mapped(.silu, context.memory) }
  let gate = try mapped(x, context) { Double(alpha) * $0 }.mapped(.sigmoid, context.memory)
  return try combined(x, gate, context) { $0 * $1 }
}

/// Applies a function to every element, in double precision, rounded once.
private func mapped(
  _ x: Tensor, _ context: EvaluationContext, _ function: @escaping @Sendable (Double) -> Double
) throws -> Tensor {
  x.type == .f64
    ? try x.map(context.memory) { (value: Double) in function(value) }
    : try x.map(context.memory) { (value: Float) in Float(function(Double(value))) }
}

/// Combines two tensors of equal extents, in double precision, rounded once.
private func combined(
  _ x: Tensor, _ y: Tensor, _ context: EvaluationContext, _ function: @escaping @Sendable (Double, Double) -> Double
) throws -> Tensor {
  x.type == .f64
    ? try x.zip(y, extents: x.extents, context.memory) { (a: Double, b: Double) in function(a, b) }
    : try x.zip(y, extents: x.extents, context.memory) { (a: Float, b: Float) in Float(function(Double(a), Double(b))) }
}

private func evaluateIntegers<Element: IntegerElement>(
  _ x: Tensor, _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  func map(_ function: @Sendable (Element) -> Element) throws -> Tensor {
    try x.map(context.memory, as: x.type, function)
  }
  switch context.node.op.name {
  case "Neg": return try map { 0 &- $0 }
  case "Abs": return try map { $0 < 0 ? 0 &- $0 : $0 }
  case "Sign": return try map { $0.signum() }
  case "Relu": return try map { $0 < 0 ? 0 : $0 }
  case "BitwiseNot": return try map { ~$0 }
  case "Erf": return try map { held(Float(Kernels.unary(.errorFunction, Double($0))), Element.self) }
  case "Shrink":
    let function = try arithmeticFunction("Shrink", { Double(context.node.float($0) ?? $1) }, context)
    return try map { held(Float(function(Double($0))), Element.self) }
  default: throw context.failure(.typeMismatch, expected: "floating-point numbers", found: "\(x.type)")
  }
}

/// Which elements are NaN, or infinite.
private func classify(_ x: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let isNaN = context.node.op.name == "IsNaN"
  let positive = context.node.integer("detect_positive", default: 1) != 0
  let negative = context.node.integer("detect_negative", default: 1) != 0
  @Sendable func test(_ value: Double) -> Bool {
    isNaN ? value.isNaN : value.isInfinite && (value > 0 ? positive : negative)
  }
  switch x.type {
  case .f32: return try x.map(context.memory) { (value: Float) in UInt8(test(Double(value)) ? 1 : 0) }
  case .f64: return try x.map(context.memory) { (value: Double) in UInt8(test(value) ? 1 : 0) }
  default: throw context.failure(.typeMismatch, expected: "floating-point numbers", found: "\(x.type)")
  }
}

/// A number held between 0 and 1; NaN stays.
private func unitRange(_ value: Double) -> Double { value < 0 ? 0 : value > 1 ? 1 : value }

/// Functions that need no more than arithmetic, which gives the same bits everywhere.
private func arithmeticFunction(
  _ name: String, _ number: (String, Float) -> Double, _ context: EvaluationContext
) throws -> @Sendable (Double) -> Double {
  switch name {
  case "Softsign": return { $0 / (1 + abs($0)) }
  case "LeakyRelu":
    let alpha = number("alpha", 0.01)
    return { $0 < 0 ? alpha * $0 : $0 }
  case "ThresholdedRelu":
    let alpha = number("alpha", 1)
    return { $0 > alpha ? $0 : 0 }
  case "HardSigmoid":
    let (alpha, beta) = (number("alpha", 0.2), number("beta", 0.5))
    return { unitRange(alpha * $0 + beta) }
  case "HardSwish": return { $0 * unitRange($0 / 6 + 0.5) }
  case "Shrink":
    let (bias, bound) = (number("bias", 0), number("lambd", 0.5))
    return { $0 < -bound ? $0 + bias : $0 > bound ? $0 - bias : 0 }
  default: throw context.failure(.unsupported, expected: "a known function", found: "\(context.node.op)")
  }
}
