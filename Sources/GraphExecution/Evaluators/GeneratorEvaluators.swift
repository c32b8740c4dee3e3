import ModelGraph
import PollardBase
import TensorStorage

func evaluateRange(_ context: EvaluationContext) throws -> Tensor {
  let start = try context.tensor(0)
  let limit = try context.tensor(1)
  let delta = try context.tensor(2)
  guard start.elementCount == 1, limit.elementCount == 1, delta.elementCount == 1 else {
    throw context.failure(expected: "three scalars", found: "\(start.extents), \(limit.extents), \(delta.extents)")
  }
  guard start.type == limit.type, start.type == delta.type else {
    throw context.failure(
      .typeMismatch, expected: "one element type", found: "\(start.type), \(limit.type), \(delta.type)")
  }
  if start.type.isFloatingPoint {
    let (first, last, step) = (start.doubles()[0], limit.doubles()[0], delta.doubles()[0])
    guard let count = Int(exactly: max(((last - first) / step).rounded(.up), 0)) else {
      throw context.failure(.tooLarge, expected: "a countable range", found: "\(first)..<\(last) by \(step)")
    }
    let result = try context.memory.tensor(start.type, [count])
    for index in 0..<count {
      if start.type == .f32 {
        result.written(Float.self)[index] = Float(first) + Float(index) * Float(step)
      } else {
        result.written(Double.self)[index] = first + Double(index) * step
      }
    }
    return result
  }
  guard start.type.integerElement != nil else {
    throw context.failure(.typeMismatch, expected: "numbers", found: "\(start.type)")
  }
  let (first, last, step) = (start.integers()[0], limit.integers()[0], delta.integers()[0])
  let (distance, overflow) =
    step > 0 ? last.subtractingReportingOverflow(first) : first.subtractingReportingOverflow(last)
  guard step != 0, step != .min, !overflow else {
    throw context.failure(.tooLarge, expected: "a countable range", found: "\(first)..<\(last) by \(step)")
  }
  let count = distance <= 0 ? 0 : Int((distance - 1) / abs(step)) + 1
  let result = try context.memory.tensor(.i64, [count])
  for index in 0..<count { result.written(Int64.self)[index] = first &+ Int64(index) &* step }
  return try converted(result, to: start.type, context)
}

/// Elements of one value; F32 zeros unless the node says otherwise.
func evaluateConstantOfShape(_ context: EvaluationContext) throws -> Tensor {
  let extents = try context.integers(0)
  let value: Tensor
  if case .tensor(let weight)? = context.node.attributes["value"] {
    value = try Tensor(reading: weight, memory: context.memory)
  } else {
    value = try converted(Tensor(floats: [0], extents: []), to: context.memory.floatType, context)
  }
  guard value.elementCount == 1 else {
    throw context.failure(expected: "a value of one element", found: "\(value.extents)")
  }
  try context.checkView(value.type, extents)
  return value.reshaped([]).broadcast(to: extents)
}

/// A constant of the node: a tensor, numbers or strings.
func evaluateConstant(_ context: EvaluationContext) throws -> Tensor {
  let node = context.node
  let real = context.memory.floatType
  if let value = try context.tensorAttribute("value") { return value }
  if case .integer(let value)? = node.attributes["value_int"] { return Tensor(integers: [Int64(value)], extents: []) }
  if let values = node.integers("value_ints") {
    return Tensor(integers: values.map { Int64($0) }, extents: [values.count])
  }
  if let value = node.float("value_float") {
    return try converted(Tensor(floats: [value], extents: []), to: real, context)
  }
  if let values = node.floats("value_floats") {
    return try converted(Tensor(floats: values, extents: [values.count]), to: real, context)
  }
  if let value = node.string("value_string") { return Tensor(strings: [Array(value.utf8)], extents: []) }
  if case .strings(let values)? = node.attributes["value_strings"] {
    return Tensor(strings: values.map { Array($0.utf8) }, extents: [values.count])
  }
  throw context.failure(.unsupported, expected: "a dense constant", found: "\(node.attributes.keys.sorted())")
}

/// Ones along a diagonal.
func evaluateEyeLike(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  guard x.rank == 2 else { throw context.failure(expected: "a matrix", found: "\(x.extents)") }
  let number = context.node.integer("dtype", default: 0)
  guard let type = number == 0 ? x.declaredType : castTargets[number],
    let computed = type.computed(in: context.memory.precision), computed != .string,
    let tracked = type.tracked(in: context.memory.precision)
  else { throw context.failure(.unsupported, expected: "a type that graphs compute with", found: "\(number)") }
  let shift = context.node.integer("k", default: 0)
  let (rows, columns) = (x.extents[0], x.extents[1])
  let ones = try context.memory.tensor(.bool, [rows, columns])
  for row in 0..<rows {
    let (place, overflow) = row.addingReportingOverflow(shift)
    for column in 0..<columns {
      ones.written(UInt8.self)[row * columns + column] = !overflow && column == place ? 1 : 0
    }
  }
  return try converted(ones, to: computed, context).declared(tracked)
}

/// A new axis that holds one value where its position is the index, and another elsewhere.
func evaluateOneHot(_ context: EvaluationContext) throws -> Tensor {
  let indices = try context.tensor(0)
  let depths = try context.tensor(1).doubles()
  let values = try context.tensor(2)
  guard depths.count == 1, let depth = Int(exactly: depths[0].rounded(.towardZero)), depth >= 0, depth < 1 << 40 else {
    throw context.failure(expected: "one depth", found: "\(depths)")
  }
  guard values.elementCount == 2, indices.type != .string else {
    throw context.failure(expected: "two values", found: "\(values.extents)")
  }
  let axis = try context.axis(context.node.integer("axis", default: -1), rank: indices.rank + 1)
  var extents = indices.extents
  extents.insert(depth, at: axis)
  let flat = values.reshaped([2], context.memory)
  let (off, on) = (flat.sliced(axis: 0, start: 0, count: 1), flat.sliced(axis: 0, start: 1, count: 1))
  let isOn = try context.memory.tensor(.bool, extents)
  let inner = extents[(axis + 1)...].reduce(1, *)
  for place in 0..<isOn.elementCount { isOn.written(UInt8.self)[place] = 0 }
  for (place, number) in indices.doubles().enumerated() where depth > 0 {
    guard let index = Int(exactly: number.rounded(.towardZero)), index >= -depth, index < depth else { continue }
    let position = index < 0 ? index + depth : index
    isOn.written(UInt8.self)[(place / inner * depth + position) * inner + place % inner] = 1
  }
  return try choose(isOn, on, off, context)
}

/// The upper or lower triangle of matrices; zeros elsewhere.
func evaluateTrilu(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  guard x.rank >= 2 else { throw context.failure(expected: "matrices", found: "\(x.extents)") }
  let shift = context.has(1) ? try context.integer(1) : 0
  let upper = context.node.integer("upper", default: 1) != 0
  let (rows, columns) = (x.extents[x.rank - 2], x.extents[x.rank - 1])
  let mask = try context.memory.tensor(.bool, [rows, columns])
  let bound = max(-rows - columns, min(rows + columns, shift))
  for row in 0..<rows {
    for column in 0..<columns {
      let isKept = upper ? column - row >= bound : column - row <= bound
      mask.written(UInt8.self)[row * columns + column] = isKept ? 1 : 0
    }
  }
  guard x.type != .string else { throw context.failure(.typeMismatch, expected: "numbers", found: "\(x.type)") }
  let zero = try converted(Tensor(truths: [false], extents: []), to: x.type, context)
  return try choose(mask, x, zero, context).declared(x.declaredType)
}

/// The positions of elements other than zero: one row for each axis.
func evaluateNonZero(_ context: EvaluationContext) throws -> Tensor {
  let x = try context.tensor(0)
  let values = x.type == .string ? x.strings().map { $0.isEmpty ? 0 : 1 } : x.doubles()
  let strides = rowMajorStrides(x.extents)
  let found = values.indices.filter { values[$0] != 0 }
  let positions = x.extents.indices.flatMap { axis in
    found.map { Int64($0 / strides[axis] % max(x.extents[axis], 1)) }
  }
  return Tensor(integers: positions, extents: [x.rank, found.count])
}

func evaluateSize(_ context: EvaluationContext) throws -> Tensor {
  let count = try context.weight(0)?.shape.elementCount ?? context.tensor(0).elementCount
  return Tensor(integers: [Int64(count)], extents: [])
}

/// What inference does: the operand itself, and a mask that keeps everything.
func evaluateDropout(_ context: EvaluationContext) throws -> [Tensor] {
  let x = try context.tensor(0)
  let ratio = try context.optionalTensor(1)?.doubles().first ?? 0.5
  if context.has(2), try context.truth(2), ratio != 0 {
    throw context.failure(.unsupported, expected: "inference", found: "training_mode")
  }
  let kept = Tensor(truths: [true], extents: []).broadcast(to: x.extents)
  return [x, context.node.version < 10 ? try converted(kept, to: x.type, context) : kept]
}

extension Memory {
  /// The type of F32 constants.
  var floatType: ElementType { precision == .double ? .f64 : .f32 }
}

extension EvaluatorTable {
  static let generators: [OperatorName: Evaluator] = [
    OperatorName("Range"): { [try evaluateRange($0)] },
    OperatorName("Constant"): { [try evaluateConstant($0)] },
    OperatorName("ConstantOfShape"): { [try evaluateConstantOfShape($0)] },
    OperatorName("EyeLike"): { [try evaluateEyeLike($0)] },
    OperatorName("OneHot"): { [try evaluateOneHot($0)] },
    OperatorName("Trilu"): { [try evaluateTrilu($0)] },
    OperatorName("NonZero"): { [try evaluateNonZero($0)] },
    OperatorName("Size"): { [try evaluateSize($0)] },
    OperatorName("Dropout"): { try evaluateDropout($0) },
  ]
}
