import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

func evaluateCast(_ context: EvaluationContext) throws -> Tensor {
  let number = context.node.integer("to", default: 0)
  guard let target = castTargets[number] else {
    throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "type number \(number)")
  }
  let result = try converted(context.tensor(0), to: target.computed(in: context.memory.precision) ?? target, context)
  if context.memory.precision == .double { return result }
  switch target {
  case .f16: return try rounded(result, .float16, context)
  case .bf16: return try rounded(result, .bfloat16, context)
  default: return result
  }
}

/// Element types by ONNX's number of them.
private let castTargets: [Int: ElementType] = [1: .f32, 6: .i32, 7: .i64, 9: .bool, 10: .f16, 11: .f64, 16: .bf16]

/// The numbers that a half float can hold, in single precision.
private func rounded(_ x: Tensor, _ encoding: FloatEncoding, _ context: EvaluationContext) throws -> Tensor {
  let dense = x.contiguous(context.memory)
  let result = try context.memory.tensor(.f32, x.extents)
  let count = x.elementCount
  let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count * encoding.byteCount, alignment: 64)
  defer { bytes.deallocate() }
  encoding.encode(UnsafeBufferPointer(start: dense.pointer(Float.self), count: count), into: bytes)
  encoding.decode(
    UnsafeRawBufferPointer(bytes), into: UnsafeMutableBufferPointer(start: result.written(Float.self), count: count))
  withExtendedLifetime(dense.buffer) {}
  return result
}

/// The same numbers in another type. Towards integers they are cut off towards zero and held in range; NaN gives 0.
func converted(_ x: Tensor, to target: ElementType, _ context: EvaluationContext) throws -> Tensor {
  if x.type == target { return x }
  switch x.type {
  case .f32: return try converted(x, Float.self, target, context)
  case .f64: return try converted(x, Double.self, target, context)
  case .i64: return try convertedIntegers(x, Int64.self, target, context)
  case .i32: return try convertedIntegers(x, Int32.self, target, context)
  default: return try convertedIntegers(x, UInt8.self, target, context)
  }
}

private func converted<From: TensorElement & BinaryFloatingPoint>(
  _ x: Tensor, _ type: From.Type, _ target: ElementType, _ context: EvaluationContext
) throws -> Tensor {
  let memory = context.memory
  switch target {
  case .f32: return try x.map(memory) { (value: From) in Float(value) }
  case .f64: return try x.map(memory) { (value: From) in Double(value) }
  case .i64: return try x.map(memory) { (value: From) in held(value, Int64.self) }
  case .i32: return try x.map(memory) { (value: From) in held(value, Int32.self) }
  case .bool: return try x.map(memory) { (value: From) in UInt8(value == 0 ? 0 : 1) }
  default: throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "\(target)")
  }
}

private func convertedIntegers<From: TensorElement & FixedWidthInteger>(
  _ x: Tensor, _ type: From.Type, _ target: ElementType, _ context: EvaluationContext
) throws -> Tensor {
  let memory = context.memory
  switch target {
  case .f32: return try x.map(memory) { (value: From) in Float(value) }
  case .f64: return try x.map(memory) { (value: From) in Double(value) }
  case .i64: return try x.map(memory) { (value: From) in Int64(truncatingIfNeeded: value) }
  case .i32: return try x.map(memory) { (value: From) in Int32(truncatingIfNeeded: value) }
  case .bool: return try x.map(memory) { (value: From) in UInt8(value == 0 ? 0 : 1) }
  default: throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "\(target)")
  }
}

private func held<From: BinaryFloatingPoint, To: FixedWidthInteger>(_ value: From, _ type: To.Type) -> To {
  if value.isNaN { return 0 }
  if value >= From(To.max) { return .max }
  if value <= From(To.min) { return .min }
  return To(value)
}
