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

/// The operators on two operands, element by element.
let binaryNames = [
  "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And",
  "Or",
]

private let kernelOperations: [String: BinaryOperation] = [
  "Add": .add, "Sub": .subtract, "Mul": .multiply, "Div": .divide, "Pow": .power, "Max": .maximum, "Min": .minimum,
]

func evaluateBinary(_ context: EvaluationContext) throws -> Tensor {
  let a = try context.tensor(0)
  var b = try context.tensor(1)
  if context.node.op.name == "Pow", a.type != b.type { b = try converted(b, to: a.type, context) }
  guard a.type == b.type else {
    throw context.failure(.typeMismatch, expected: "operands of one element type", found: "\(a.type) and \(b.type)")
  }
  let extents = try context.broadcast([a.extents, b.extents])
  switch a.type {
  case .f32:
    if let operation = kernelOperations[context.node.op.name] {
      return try a.combined(operation, with: b, extents: extents, context.memory)
    }
    return try compare(a, b, extents, Float.self, context)
  case .f64:
    if let function = doubleFunction(context.node.op.name) {
      return try a.zip(b, extents: extents, context.memory) { (x: Double, y: Double) in function(x, y) }
    }
    return try compare(a, b, extents, Double.self, context)
  case .i64: return try evaluateIntegers(a, b, extents, Int64.self, context)
  case .i32: return try evaluateIntegers(a, b, extents, Int32.self, context)
  default:
    let memory = context.memory
    switch context.node.op.name {
    case "And": return try a.zip(b, extents: extents, memory) { (x: UInt8, y: UInt8) in x & y }
    case "Or": return try a.zip(b, extents: extents, memory) { (x: UInt8, y: UInt8) in x | y }
    case "Equal": return try a.zip(b, extents: extents, memory) { (x: UInt8, y: UInt8) in UInt8(x == y ? 1 : 0) }
    default: throw context.failure(.typeMismatch, expected: "numbers", found: "\(a.type)")
    }
  }
}

private func compare<Element: TensorElement & Comparable>(
  _ a: Tensor, _ b: Tensor, _ extents: [Int], _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  let memory = context.memory
  switch context.node.op.name {
  case "Equal": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x == y ? 1 : 0) }
  case "Less": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x < y ? 1 : 0) }
  case "LessOrEqual":
    return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x <= y ? 1 : 0) }
  case "Greater": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x > y ? 1 : 0) }
  case "GreaterOrEqual":
    return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in UInt8(x >= y ? 1 : 0) }
  default: throw context.failure(.typeMismatch, expected: "truth values", found: "\(a.type)")
  }
}

/// Integers wrap around, as fixed-width arithmetic does; quotients are cut off towards zero.
private func evaluateIntegers<Element: TensorElement & FixedWidthInteger & SignedInteger>(
  _ a: Tensor, _ b: Tensor, _ extents: [Int], _ type: Element.Type, _ context: EvaluationContext
) throws -> Tensor {
  let memory = context.memory
  switch context.node.op.name {
  case "Add": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in x &+ y }
  case "Sub": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in x &- y }
  case "Mul": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in x &* y }
  case "Div":
    if !extents.contains(0), b.elements(type).contains(0) {
      throw context.failure(.divisionByZero, expected: "divisors other than 0", found: "0 in \(context.name(1))")
    }
    return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in
      x.dividedReportingOverflow(by: y).partialValue
    }
  case "Pow": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in power(x, y) }
  case "Max": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in max(x, y) }
  case "Min": return try a.zip(b, extents: extents, memory) { (x: Element, y: Element) in min(x, y) }
  default: return try compare(a, b, extents, type, context)
  }
}

/// An integer power by squaring; a negative exponent gives the quotient 1 / x^-y, cut off, and 0 for x = 0.
private func power<Element: FixedWidthInteger & SignedInteger>(_ x: Element, _ y: Element) -> Element {
  if y < 0 { return x == 1 ? 1 : x == -1 ? (y & 1 == 0 ? 1 : -1) : 0 }
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

private func doubleFunction(_ name: String) -> (@Sendable (Double, Double) -> Double)? {
  switch name {
  case "Add": { $0 + $1 }
  case "Sub": { $0 - $1 }
  case "Mul": { $0 * $1 }
  case "Div": { $0 / $1 }
  case "Pow": { pow($0, $1) }
  case "Max": { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
  case "Min": { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }
  default: nil
  }
}
