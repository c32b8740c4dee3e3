import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

func evaluateCast(_ context: EvaluationContext) throws -> Tensor {
  let number = context.node.integer("to", default: 0)
  guard let target = castTargets[number] else {
    throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "type number \(number)")
  }
  return try cast(context.tensor(0), to: target, context)
}

func evaluateCastLike(_ context: EvaluationContext) throws -> Tensor {
  let like = try context.weight(1)?.type ?? context.tensor(1).declaredType
  return try cast(context.tensor(0), to: like, context)
}

/// Element types by ONNX's number of them.
let castTargets: [Int: ElementType] = [
  1: .f32, 2: .u8, 3: .i8, 4: .u16, 5: .i16, 6: .i32, 7: .i64, 8: .string, 9: .bool, 10: .f16, 11: .f64, 12: .u32,
  13: .u64, 16: .bf16, 17: .f8e4m3, 18: .f8e4m3fnuz, 19: .f8e5m2, 20: .f8e5m2fnuz, 21: .u4, 22: .i4, 23: .f4,
  24: .f8e8m0, 25: .u2, 26: .i2, 27: .f6e2m3, 28: .f6e3m2,
]

/// The same numbers in another type, with the attributes of a cast.
///
/// Towards integers numbers are cut off towards zero and held in range, and NaN gives 0; integers keep their low bits.
func cast(_ x: Tensor, to target: ElementType, _ context: EvaluationContext) throws -> Tensor {
  let memory = context.memory
  guard let computed = target.computed(in: memory.precision), let tracked = target.tracked(in: memory.precision) else {
    throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "\(target)")
  }
  if x.type == .string || target == .string { return try castText(x, to: target, computed, tracked, context) }
  if memory.precision == .double, target.isFloatingPoint { return try converted(x, to: computed, context) }
  if let format = NarrowRounding(target) {
    let saturates = target.bitCount <= 8 && context.node.integer("saturate", default: 1) != 0
    if x.type == .f64 {
      return try x.map(memory) { (value: Double) in format(value, saturates: saturates) }.declared(tracked)
    }
    let single = try converted(x, to: .f32, context)
    if target.bitCount == 16 { return try single.rounded(to: target, memory).declared(tracked) }
    return try single.map(memory) { (value: Float) in format(Double(value), saturates: saturates) }.declared(tracked)
  }
  if target == .f8e8m0 {
    let saturates = context.node.integer("saturate", default: 1) != 0
    let mode = PowerOfTwoRounding(rawValue: context.node.string("round_mode") ?? "up") ?? .up
    return try converted(x, to: .f64, context)
      .map(memory) { (value: Double) in mode(value, saturates: saturates) }.declared(tracked)
  }
  guard target.bitCount < 8 else { return try converted(x, to: computed, context).declared(tracked) }
  return try narrowed(converted(x, to: .i64, context), to: target, memory)
}

/// Integers of less than a byte keep their low bits.
private func narrowed(_ x: Tensor, to target: ElementType, _ memory: Memory) throws -> Tensor {
  let bits = Int64(target.bitCount)
  if target == .u4 || target == .u2 {
    return try x.map(memory, as: .u8) { (value: Int64) in UInt8(value & (1 << bits - 1)) }.declared(target)
  }
  return try x.map(memory) { (value: Int64) in Int8((value << (64 - bits)) >> (64 - bits)) }.declared(target)
}

/// The same numbers in another type of memory.
func converted(_ x: Tensor, to target: ElementType, _ context: EvaluationContext) throws -> Tensor {
  if x.type == target { return x.declared(target) }
  switch x.type {
  case .f32: return try convertedFloats(x, Float.self, target, context)
  case .f64: return try convertedFloats(x, Double.self, target, context)
  case .i64: return try convertedIntegers(x, Int64.self, target, context)
  case .i32: return try convertedIntegers(x, Int32.self, target, context)
  default:
    let element = x.type.wholeElement
    return try convertedIntegers(x, element, target, context)
  }
}

private func convertedFloats<From: FloatElement>(
  _ x: Tensor, _ type: From.Type, _ target: ElementType, _ context: EvaluationContext
) throws -> Tensor {
  let memory = context.memory
  func integers<To: IntegerElement>(_ type: To.Type) throws -> Tensor {
    try x.map(memory, as: target) { (value: From) in held(value, To.self) }
  }
  switch target {
  case .f32: return try x.map(memory) { (value: From) in Float(value) }
  case .f64: return try x.map(memory) { (value: From) in Double(value) }
  case .i64: return try x.map(memory) { (value: From) in held(value, Int64.self) }
  case .i32: return try x.map(memory) { (value: From) in held(value, Int32.self) }
  case .bool: return try x.map(memory) { (value: From) in UInt8(value == 0 ? 0 : 1) }
  default:
    guard let element = target.integerElement else {
      throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "\(target)")
    }
    return try integers(element)
  }
}

private func convertedIntegers<From: IntegerElement>(
  _ x: Tensor, _ type: From.Type, _ target: ElementType, _ context: EvaluationContext
) throws -> Tensor {
  let memory = context.memory
  func integers<To: IntegerElement>(_ type: To.Type) throws -> Tensor {
    try x.map(memory, as: target) { (value: From) in To(truncatingIfNeeded: value) }
  }
  switch target {
  case .f32: return try x.map(memory) { (value: From) in Float(value) }
  case .f64: return try x.map(memory) { (value: From) in Double(value) }
  case .i64: return try x.map(memory) { (value: From) in Int64(truncatingIfNeeded: value) }
  case .i32: return try x.map(memory) { (value: From) in Int32(truncatingIfNeeded: value) }
  case .bool: return try x.map(memory) { (value: From) in UInt8(value == 0 ? 0 : 1) }
  default:
    guard let element = target.integerElement else {
      throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "\(target)")
    }
    return try integers(element)
  }
}

/// A number cut off towards zero and held in range; NaN gives 0.
func held<From: BinaryFloatingPoint, To: FixedWidthInteger>(_ value: From, _ type: To.Type) -> To {
  if value.isNaN { return 0 }
  if value >= From(To.max) { return .max }
  if value <= From(To.min) { return .min }
  return To(value)
}

/// Strings are the decimal text of numbers.
private func castText(
  _ x: Tensor, to target: ElementType, _ computed: ElementType, _ tracked: ElementType, _ context: EvaluationContext
) throws -> Tensor {
  if x.type == .string, target == .string { return x }
  if x.type == .string {
    let texts = x.strings().map { String(decoding: $0, as: UTF8.self) }
    if !target.isFloatingPoint, target != .bool {
      return try cast(wholeNumbers(of: texts, for: target, x.extents, context), to: target, context)
    }
    let numbers = try texts.map { try context.number($0) }
    return try cast(Tensor(doubles: numbers, extents: x.extents), to: target, context)
  }
  let texts: [String] =
    x.type == .f32
    ? x.floats().map { "\($0)" }
    : x.type == .f64 ? x.doubles().map { "\($0)" } : x.integers().map { "\($0)" }
  return Tensor(strings: texts.map { Array($0.utf8) }, extents: x.extents)
}

/// The integers that texts stand for, held in the range of a type. Those of 64 bits are read as such, since doubles do not hold all of them.
private func wholeNumbers(
  of texts: [String], for target: ElementType, _ extents: [Int], _ context: EvaluationContext
) throws -> Tensor {
  if target == .u64 {
    return Tensor(
      elements: try texts.map { try UInt64($0) ?? held(context.number($0), UInt64.self) }, extents: extents)
  }
  let numbers = try texts.map { try Int64($0) ?? held(context.number($0), Int64.self) }
  guard target.bitCount >= 8, let range = target.integerRange else {
    return Tensor(integers: numbers, extents: extents)
  }
  let (least, largest) = (Int64(range.lowerBound), Int64(range.upperBound))
  return Tensor(integers: numbers.map { min(max($0, least), largest) }, extents: extents)
}

extension EvaluationContext {
  /// The number that a text stands for.
  fileprivate func number(_ text: String) throws(GraphError) -> Double {
    guard let number = Double(text) else {
      throw failure(.typeMismatch, expected: "the text of a number", found: "\"\(text)\"")
    }
    return number
  }
}
