import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// The operators on two operands, element by element.
let binaryNames = [
  "Add", "Sub", "Mul", "Div", "Pow", "Mod", "PRelu", "SwiGLU", "Equal", "Less", "LessOrEqual", "Greater",
  "GreaterOrEqual", "And",
  "Or", "Xor", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
]

/// The operators on any number of operands, combined from the left.
let variadicNames = ["Max", "Min", "Sum", "Mean"]

private let kernelOperations: [String: BinaryOperation] = [
  "Add": .add, "Sub": .subtract, "Mul": .multiply, "Div": .divide, "Pow": .power, "Max": .maximum, "Min": .minimum,
  "Sum": .add, "Mean": .add,
]

/// The kernel that computes a node of two operands, or nil when there is none, or it does more than that.
func binaryKernel(of node: Node) -> BinaryOperation? {
  guard node.op.domain.isEmpty, ["Add", "Sub", "Mul", "Div"].contains(node.op.name) else { return nil }
  return kernelOperations[node.op.name]
}

func evaluateBinary(_ context: EvaluationContext) throws -> Tensor {
  let name = context.node.op.name
  var a = try context.tensor(0)
  var b = try context.tensor(1)
  if name == "Pow", a.type != b.type {
    if a.type.isFloatingPoint || !b.type.isFloatingPoint {
      b = try converted(b, to: a.type, context)
    } else {
      let type = a.type
      a = try converted(a, to: .f64, context)
      b = try converted(b, to: .f64, context)
      return try converted(combine(a, b, name, context), to: type, context)
    }
  }
  return try combine(a, b, name, context)
}

func evaluateVariadic(_ context: EvaluationContext) throws -> Tensor {
  let name = context.node.op.name
  var result = try context.tensor(0)
  for slot in context.operands.indices.dropFirst() {
    result = try combine(result, context.tensor(slot), name, context)
  }
  if name == "Mean", context.operands.count > 1 {
    let count = Tensor(floats: [Float(context.operands.count)], extents: [])
    result = try combine(result, converted(count, to: result.type, context), "Div", context)
  }
  return result
}

/// Two operands combined by the function of an operator's name.
func combine(_ a: Tensor, _ b: Tensor, _ name: String, _ context: EvaluationContext) throws -> Tensor {
  guard a.type == b.type else {
    throw context.failure(.typeMismatch, expected: "operands of one element type", found: "\(a.type) and \(b.type)")
  }
  let extents = try context.broadcast([a.extents, b.extents])
  let memory = context.memory
  if name == "SwiGLU" { return try combine(swish(a, context.node.float("alpha") ?? 1, context), b, "Mul", context) }
  switch a.type {
  case .f32:
    if let operation = kernelOperations[name] { return try a.combined(operation, with: b, extents: extents, memory) }
    if let function = doubleFunction(name, context) {
      return try a.zip(b, extents: extents, memory) { (x: Float, y: Float) in Float(function(Double(x), Double(y))) }
    }
    return try compare(a, b, extents, Float.self, name, context)
  case .f64:
    if let function = doubleFunction(name, context) {
      return try a.zip(b, extents: extents, memory) { (x: Double, y: Double) in function(x, y) }
    }
    return try compare(a, b, extents, Double.self, name, context)
  case .i64: return try combineIntegers(a, b, extents, Int64.self, name, context)
  case .i32: return try combineIntegers(a, b, extents, Int32.self, name, context)
  case .bool:
    switch name {
    case "And": return try a.zip(b, extents: extents, memory) { (x: UInt8, y: UInt8) in x & y }
    case "Or": return try a.zip(b, extents: extents, memory) { (x: UInt8, y: UInt8) in x | y }
    case "Xor": return try a.zip(b, extents: extents, memory) { (x: UInt8, y: UInt8) in x ^ y }
    case "Equal": return try a.zip(b, extents: extents, memory) { (x: UInt8, y: UInt8) in UInt8(x == y ? 1 : 0) }
    default: throw context.failure(.typeMismatch, expected: "numbers", found: "\(a.type)")
    }
  case .string:
    guard name == "Equal" else { throw context.failure(.typeMismatch, expected: "numbers", found: "\(a.type)") }
    return try a.zip(b, extents: extents, memory) { (x: Int64, y: Int64) in UInt8(x == y ? 1 : 0) }
  default:
    guard let element = a.type.integerElement else {
      throw context.failure(.typeMismatch, expected: "numbers", found: "\(a.type)")
    }
    return try combineIntegers(a, b, extents, element, name, context)
  }
}

private func compare<Element: TensorElement & Comparable>(
  _ a: Tensor, _ b: Tensor, _ extents: [Int], _ type: Element.Type, _ name: String, _ context: EvaluationContext
) throws -> Tensor {
  let memory = context.memory
  switch name {
  case "Equal": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x == y ? 1 : 0) }
  case "Less": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x < y ? 1 : 0) }
  case "LessOrEqual":
    return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x <= y ? 1 : 0) }
  case "Greater": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x > y ? 1 : 0) }
  case "GreaterOrEqual":
    return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x >= y ? 1 : 0) }
  default: throw context.failure(.typeMismatch, expected: "other operands", found: "\(a.type)")
  }
}

/// Integers wrap around, as fixed-width arithmetic does; quotients are cut off towards zero.
private func combineIntegers<Element: IntegerElement>(
  _ a: Tensor, _ b: Tensor, _ extents: [Int], _ type: Element.Type, _ name: String, _ context: EvaluationContext
) throws -> Tensor {
  func zip(_ function: @Sendable (Element, Element) -> Element) throws -> Tensor {
    try a.zip(b, extents: extents, context.memory, as: a.type, function)
  }
  switch name {
  case "Add", "Sum", "Mean": return try zip { $0 &+ $1 }
  case "Sub": return try zip { $0 &- $1 }
  case "Mul": return try zip { $0 &* $1 }
  case "Div", "Mod":
    if !extents.contains(0), b.elements(type).contains(0) {
      throw context.failure(.divisionByZero, expected: "divisors other than 0", found: "0 in \(context.name(1))")
    }
    if name == "Div" { return try zip { $0.dividedReportingOverflow(by: $1).partialValue } }
    if context.node.integer("fmod", default: 0) != 0 {
      return try zip { $0.remainderReportingOverflow(dividingBy: $1).partialValue }
    }
    return try zip { x, y in
      let rest = x.remainderReportingOverflow(dividingBy: y).partialValue
      return rest != 0 && (rest < 0) != (y < 0) ? rest &+ y : rest
    }
  case "Pow": return try zip { power($0, $1) }
  case "Max": return try zip { max($0, $1) }
  case "Min": return try zip { min($0, $1) }
  case "PRelu": return try zip { $0 < 0 ? $0 &* $1 : $0 }
  case "BitwiseAnd": return try zip { $0 & $1 }
  case "BitwiseOr": return try zip { $0 | $1 }
  case "BitwiseXor": return try zip { $0 ^ $1 }
  case "BitShift":
    return context.node.string("direction") == "LEFT" ? try zip { $0 << $1 } : try zip { $0 >> $1 }
  default: return try compare(a, b, extents, type, name, context)
  }
}

/// An integer power by squaring; a negative exponent gives the quotient 1 / x^-y, cut off, and 0 for x = 0.
private func power<Element: FixedWidthInteger>(_ x: Element, _ y: Element) -> Element {
  if y < 0 { return x == 1 ? 1 : x == 0 &- 1 ? (y & 1 == 0 ? 1 : 0 &- 1) : 0 }
  var result: Element = 1
  var factor = x
  var rest = y
  while rest > 0 {
    if rest & 1 == 1 { result = result &* factor }
    factor = factor &* factor
    rest >>= 1
  }
  return result
}

private func doubleFunction(
  _ name: String, _ context: EvaluationContext
) -> (@Sendable (Double, Double) -> Double)? {
  switch name {
  case "Add", "Sum", "Mean": { $0 + $1 }
  case "Sub": { $0 - $1 }
  case "Mul": { $0 * $1 }
  case "Div": { $0 / $1 }
  case "Pow": { Kernels.power($0, $1) }
  case "Max": { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
  case "Min": { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }
  case "PRelu": { $0 < 0 ? $0 * $1 : $0 }
  case "Mod" where context.node.integer("fmod", default: 0) != 0: { $0.truncatingRemainder(dividingBy: $1) }
  case "Mod":
    { x, y in
      let rest = x.truncatingRemainder(dividingBy: y)
      return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest
    }
  default: nil
  }
}
