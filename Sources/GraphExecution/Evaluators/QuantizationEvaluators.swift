import ModelGraph
import PollardBase
import TensorStorage

/// `y = saturate(round(x / scale) + zero point)`, per tensor, per position of an axis, or per block along it.
func evaluateQuantizeLinear(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let scale = try context.tensor(1)
  let zero = try context.optionalTensor(2)
  let number = context.node.integer("output_dtype", default: 0)
  guard let target = zero?.declaredType ?? (number == 0 ? .u8 : castTargets[number]) else {
    throw context.failure(.unsupported, expected: "a quantised type", found: "type number \(number)")
  }
  return try quantized(x, scale: scale, zero: zero, to: target, context)
}

/// `y = (x - zero point) · scale`, per tensor, per position of an axis, or per block along it.
func evaluateDequantizeLinear(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let scale = try context.tensor(1)
  let number = context.node.integer("output_dtype", default: 0)
  let target = number == 0 ? scale.declaredType : castTargets[number] ?? .f32
  let real = try dequantized(x, scale: scale, zero: context.optionalTensor(2), context)
  return try cast(converted(real, to: context.memory.floatType, context), to: target, context)
}

/// The range of activations with 0 in it, spread over the values of a byte.
func evaluateDynamicQuantizeLinear(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try converted(context.tensor(0), to: context.memory.floatType, context)
  return x.type == .f64
    ? try dynamicallyQuantized(x, Double.self, context) : try dynamicallyQuantized(x, Float.self, context)
}

private func dynamicallyQuantized<Number: FloatElement>(
  _ x: Tensor, _ type: Number.Type, _ context: EvaluationContext
) throws -> [Tensor] {
  let values = x.elements(type)
  let least = min(0, values.min() ?? 0)
  let largest = max(0, values.max() ?? 0)
  let range = (largest - least) / 255
  // Zeros alone have the scale 1, as in ONNX Runtime.
  let scale = range == 0 ? 1 : range
  let zero = held((-least / scale).rounded(.toNearestOrEven), UInt8.self)
  let scales = Tensor(elements: [scale], extents: [])
  let zeros = Tensor(elements: [zero], extents: [], as: .u8)
  return [try quantized(x, scale: scales, zero: zeros, to: .u8, context), scales, zeros]
}

/// The real numbers that quantised ones stand for, in double precision where the operands are wide, else in single.
func dequantized(_ x: Tensor, scale: Tensor, zero: Tensor?, _ context: EvaluationContext) throws -> Tensor {
  let scales = try spread(scale, over: x.extents, context)
  // Differences of integers of up to 32 bits and their products with a single-precision scale are rounded once.
  var real = try converted(x, to: .f64, context)
  if let zero {
    real = try combine(real, converted(spread(zero, over: x.extents, context), to: .f64, context), "Sub", context)
  }
  return try combine(real, converted(scales, to: .f64, context), "Mul", context)
}

/// Numbers divided by their scale and held in a type; the quotient is rounded to the type of the graph's numbers first.
func quantized(
  _ x: Tensor, scale: Tensor, zero: Tensor?, to target: ElementType, _ context: EvaluationContext
) throws -> Tensor {
  let real = context.memory.floatType
  let scales = try converted(spread(scale, over: x.extents, context), to: real, context)
  let quotient = try combine(converted(x, to: real, context), scales, "Div", context)
  guard let range = target.integerRange, let computed = target.computed(in: context.memory.precision) else {
    return try cast(quotient, to: target, context)
  }
  var whole =
    real == .f64
    ? try quotient.map(context.memory) { (value: Double) in value.rounded(.toNearestOrEven) }
    : try quotient.map(context.memory) { (value: Float) in Double(value.rounded(.toNearestOrEven)) }
  if let zero {
    whole = try combine(whole, converted(spread(zero, over: x.extents, context), to: .f64, context), "Add", context)
  }
  let (least, largest) = (Double(range.lowerBound), Double(range.upperBound))
  let saturated = try whole.map(context.memory) { (value: Double) in min(max(value, least), largest) }
  return try converted(saturated, to: computed, context).declared(target)
}

extension ElementType {
  /// The integers that the type holds, for those of up to 32 bits.
  var integerRange: ClosedRange<Int>? {
    switch self {
    case .u2, .u4, .u8, .u16, .u32: 0...(1 << bitCount - 1)
    case .i2, .i4, .i8, .i16, .i32: -(1 << (bitCount - 1))...(1 << (bitCount - 1) - 1)
    default: nil
    }
  }
}

/// Scales or zero points so that they broadcast over a tensor: one, a vector along `axis`, or a tensor of blocks along it.
private func spread(_ values: Tensor, over extents: [Int], _ context: EvaluationContext) throws -> Tensor {
  if values.elementCount == 1, values.rank <= 1 { return values.reshaped([]) }
  let axis = try context.axis(context.node.integer("axis", default: 1), rank: extents.count)
  if values.rank == 1 {
    guard values.extents[0] == extents[axis] else {
      throw context.failure(expected: "\(extents[axis]) scales", found: "\(values.extents)")
    }
    let shape = extents.indices.map { $0 == axis ? extents[axis] : 1 }
    return values.reshaped(shape, context.memory)
  }
  guard values.rank == extents.count else {
    throw context.failure(expected: "scales of rank \(extents.count)", found: "\(values.extents)")
  }
  var block = context.node.integer("block_size", default: 0)
  if block == 0, values.extents[axis] > 0 {
    block = (extents[axis] + values.extents[axis] - 1) / values.extents[axis]
  }
  guard block > 0, block <= max(extents[axis], 1), values.extents[axis] == (extents[axis] + block - 1) / block else {
    throw context.failure(expected: "one scale for each block of \(extents[axis])", found: "\(values.extents)")
  }
  var repeated = values.extents
  repeated.insert(1, at: axis + 1)
  var target = values.extents
  target.insert(block, at: axis + 1)
  var merged = values.extents
  merged[axis] = try context.elementCount([merged[axis], block])
  try context.checkView(values.type, merged)
  return values.reshaped(repeated, context.memory).broadcast(to: target).reshaped(merged, context.memory)
    .sliced(axis: axis, start: 0, count: extents[axis])
}

/// The product of quantised matrices, without their scales.
func evaluateMatMulInteger(_ context: EvaluationContext) throws -> Tensor {
  let a = try centred(0, zero: 2, alongRows: true, context)
  let b = try centred(1, zero: 3, alongRows: false, context)
  return try converted(matrixProduct(a, b, context), to: .i32, context)
}

/// The product of quantised matrices, quantised again.
func evaluateQLinearMatMul(_ context: EvaluationContext) throws -> Tensor {
  let a = try centred(0, zero: 2, alongRows: true, context)
  let b = try centred(3, zero: 5, alongRows: false, context)
  var real = try matrixProduct(a, b, context)
  for (slot, alongRows) in [(1, true), (4, false)] {
    let scale = try converted(context.tensor(slot), to: .f64, context)
    real = try combine(real, alongRows ? column(scale, context) : scale, "Mul", context)
  }
  let zero = try context.tensor(7)
  return try quantized(real, scale: context.tensor(6), zero: zero, to: zero.declaredType, context)
}

/// An operand minus its zero point, exactly.
private func centred(_ slot: Int, zero: Int, alongRows: Bool, _ context: EvaluationContext) throws -> Tensor {
  let x = try converted(context.tensor(slot), to: .f64, context)
  guard let zeros = try context.optionalTensor(zero) else { return x }
  let wide = try converted(zeros, to: .f64, context)
  return try combine(x, alongRows ? column(wide, context) : wide, "Sub", context)
}

/// One value for each row of the left matrix stands in a column.
private func column(_ values: Tensor, _ context: EvaluationContext) -> Tensor {
  values.rank == 1 && values.extents[0] > 1 ? values.reshaped([values.extents[0], 1], context.memory) : values
}

/// Sums of products of small integers, exact in double precision.
private func matrixProduct(_ a: Tensor, _ b: Tensor, _ context: EvaluationContext) throws -> Tensor {
  guard a.rank >= 1, b.rank >= 1 else { throw context.failure(expected: "matrices", found: "scalars") }
  let left = a.rank == 1 ? a.reshaped([1, a.extents[0]], context.memory) : a
  let right = b.rank == 1 ? b.reshaped([b.extents[0], 1], context.memory) : b
  guard left.extents[left.rank - 1] == right.extents[right.rank - 2] else {
    throw context.failure(
      expected: "as many columns on the left as rows on the right", found: "\(a.extents) and \(b.extents)")
  }
  let product = try doubleProducts(left, right, context)
  var extents = product.extents
  if b.rank == 1 { extents.removeLast() }
  if a.rank == 1 { extents.remove(at: extents.count - (b.rank == 1 ? 1 : 2)) }
  return product.reshaped(extents, context.memory)
}

extension EvaluatorTable {
  static let quantizations: [OperatorName: Evaluator] = {
    let vendor = "com.microsoft"
    var table: [OperatorName: Evaluator] = [
      OperatorName("DynamicQuantizeLinear"): { try evaluateDynamicQuantizeLinear($0) },
      OperatorName("MatMulInteger"): { [try evaluateMatMulInteger($0)] },
      OperatorName("QLinearMatMul"): { [try evaluateQLinearMatMul($0)] },
    ]
    for domain in ["", vendor] {
      table[OperatorName("QuantizeLinear", domain: domain)] = { [try evaluateQuantizeLinear($0)] }
      table[OperatorName("DequantizeLinear", domain: domain)] = { [try evaluateDequantizeLinear($0)] }
    }
    return table
  }()
}
