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
  "Neg", "Abs", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Erf", "Tanh", "Sigmoid", "Relu", "LeakyRelu", "Elu",
  "Softplus", "Mish", "Swish", "Gelu", "Not",
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
  if node.op.name == "Not" {
    guard x.type == .bool else { throw context.failure(.typeMismatch, expected: "BOOL", found: "\(x.type)") }
    return try x.map(context.memory) { (value: UInt8) in UInt8(value == 0 ? 1 : 0) }
  }
  switch x.type {
  case .f32: return try evaluateFloats(x, context)
  case .f64:
    let function = try doubleFunction(context)
    return try x.map(context.memory) { (value: Double) in function(value) }
  case .i64: return try evaluateIntegers(x, Int64.self, context)
  case .i32: return try evaluateIntegers(x, Int32.self, context)
  default: throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)")
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
  default: throw context.failure(.unsupported, expected: "a known function", found: "\(context.node.op)")
  }
}

private func evaluateIntegers<Element: TensorElement & FixedWidthInteger & SignedInteger>(
  _ x: Tensor, _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  switch context.node.op.name {
  case "Neg": return try x.map(context.memory) { (value: Element) in 0 &- value }
  case "Abs": return try x.map(context.memory) { (value: Element) in value < 0 ? 0 &- value : value }
  case "Relu": return try x.map(context.memory) { (value: Element) in value < 0 ? 0 : value }
  default: throw context.failure(.typeMismatch, expected: "floating-point numbers", found: "\(x.type)")
  }
}

/// The function in double precision, from the system's mathematical library.
private func doubleFunction(_ context: EvaluationContext) throws -> @Sendable (Double) -> Double {
  let node = context.node
  switch node.op.name {
  case "Neg": return { -$0 }
  case "Abs": return { abs($0) }
  case "Exp": return { exp($0) }
  case "Log": return { log($0) }
  case "Sqrt": return { $0.squareRoot() }
  case "Reciprocal": return { 1 / $0 }
  case "Sin": return { sin($0) }
  case "Cos": return { cos($0) }
  case "Erf": return { erf($0) }
  case "Tanh": return { tanh($0) }
  case "Sigmoid": return { 1 / (1 + exp(-$0)) }
  case "Relu": return { $0 < 0 ? 0 : $0 }
  case "Softplus": return { max($0, 0) + log1p(exp(-abs($0))) }
  case "Mish": return { $0 * tanh(max($0, 0) + log1p(exp(-abs($0)))) }
  case "LeakyRelu":
    let alpha = Double(node.float("alpha") ?? 0.01)
    return { $0 < 0 ? alpha * $0 : $0 }
  case "Elu":
    let alpha = Double(node.float("alpha") ?? 1)
    return { $0 <= 0 ? alpha * expm1($0) : $0 }
  case "Swish":
    let alpha = Double(node.float("alpha") ?? 1)
    return { $0 / (1 + exp(-alpha * $0)) }
  case "Gelu" where node.string("approximate") == "tanh":
    return { 0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) }
  case "Gelu": return { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
  default: throw context.failure(.unsupported, expected: "a known function", found: "\(node.op)")
  }
}
