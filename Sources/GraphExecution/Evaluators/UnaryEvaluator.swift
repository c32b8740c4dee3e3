import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

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
  case .f32: return try evaluateFloats(x, context)
  case .f64:
    let function = try doubleFunction(context)
    return try x.map(context.memory) { (value: Double) in function(value) }
  default:
    guard let element = x.type.integerElement else {
      throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)")
    }
    return try evaluateIntegers(x, element, context)
  }
}

private func evaluateFloats(_ x: Tensor, _ context: EvaluationContext) throws -> Tensor {
  let memory = context.memory
  if let operation = kernelOperation(of: context.node) { return try x.mapped(operation, memory) }
  switch context.node.op.name {
  case "LeakyRelu":
    let alpha = context.node.float("alpha") ?? 0.01
    return try x.map(memory) { (value: Float) in value < 0 ? alpha * value : value }
  case "Elu":
    let alpha = context.node.float("alpha") ?? 1
    return try x.zip(x.mapped(.exponential, memory), extents: x.extents, memory) { (value: Float, power: Float) in
      value <= 0 ? alpha * (power - 1) : value
    }
  case "Mish":
    let gate = try x.mapped(.softplus, memory).mapped(.hyperbolicTangent, memory)
    return try x.combined(.multiply, with: gate, extents: x.extents, memory)
  case "Swish":
    let alpha = Tensor(floats: [context.node.float("alpha") ?? 1], extents: [])
    let gate = try x.combined(.multiply, with: alpha, extents: x.extents, memory).mapped(.sigmoid, memory)
    return try x.combined(.multiply, with: gate, extents: x.extents, memory)
  default:
    let function = try doubleFunction(context)
    return try x.map(memory) { (value: Float) in Float(function(Double(value))) }
  }
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
  case "Erf", "Shrink":
    let function = try doubleFunction(context)
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

/// The function in double precision, from the system's mathematical library.
private func doubleFunction(_ context: EvaluationContext) throws -> @Sendable (Double) -> Double {
  let node = context.node
  func number(_ name: String, _ value: Float) -> Double { Double(node.float(name) ?? value) }
  switch node.op.name {
  case "Neg": return { -$0 }
  case "Abs": return { abs($0) }
  case "Exp": return { exp($0) }
  case "Log": return { log($0) }
  case "Sqrt": return { $0.squareRoot() }
  case "Reciprocal": return { 1 / $0 }
  case "Sin": return { sin($0) }
  case "Cos": return { cos($0) }
  case "Tan": return { tan($0) }
  case "Asin": return { asin($0) }
  case "Acos": return { acos($0) }
  case "Atan": return { atan($0) }
  case "Sinh": return { sinh($0) }
  case "Cosh": return { cosh($0) }
  case "Asinh": return { asinh($0) }
  case "Acosh": return { acosh($0) }
  case "Atanh": return { atanh($0) }
  case "Erf": return { erf($0) }
  case "Tanh": return { tanh($0) }
  case "Sigmoid": return { 1 / (1 + exp(-$0)) }
  case "Relu": return { $0 < 0 ? 0 : $0 }
  case "Sign": return { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }
  case "Floor": return { $0.rounded(.down) }
  case "Ceil": return { $0.rounded(.up) }
  case "Round": return { $0.rounded(.toNearestOrEven) }
  case "Softsign": return { $0 / (1 + abs($0)) }
  case "Softplus": return { max($0, 0) + log1p(exp(-abs($0))) }
  case "Mish": return { $0 * tanh(max($0, 0) + log1p(exp(-abs($0)))) }
  case "LeakyRelu":
    let alpha = number("alpha", 0.01)
    return { $0 < 0 ? alpha * $0 : $0 }
  case "Elu":
    let alpha = number("alpha", 1)
    return { $0 <= 0 ? alpha * expm1($0) : $0 }
  case "Celu":
    let alpha = number("alpha", 1)
    return { $0 > 0 ? $0 : alpha * expm1($0 / alpha) }
  case "Selu":
    let (alpha, gamma) = (number("alpha", 1.67326319217681884765625), number("gamma", 1.05070102214813232421875))
    return { gamma * ($0 <= 0 ? alpha * expm1($0) : $0) }
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
  case "Swish":
    let alpha = number("alpha", 1)
    return { $0 / (1 + exp(-alpha * $0)) }
  case "Gelu" where node.string("approximate") == "tanh":
    return { 0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }
  case "Gelu": return { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
  default: throw context.failure(.unsupported, expected: "a known function", found: "\(node.op)")
  }
}
