import ModelGraph
import PollardBase
import TensorStorage

/// What becomes of an element that an update names.
private enum Reduction: String {
  case none, add, mul, max, min
}

/// The tensor with elements replaced by updates, or combined with them in their order, along one axis.
func evaluateScatterElements(_ context: EvaluationContext) throws -> Tensor {
  let result = try context.tensor(0).copied(context.memory)
  let updates = try context.tensor(2)
  guard updates.extents == (try context.tensor(1).extents), updates.type == result.type else {
    throw context.failure(
      expected: "updates of \(result.type) of the indices' shape", found: "\(updates.type)\(updates.extents)")
  }
  let offsets = try elementOffsets(of: result, indexShape: updates.extents, context)
  try scatter(updates, at: offsets, into: result, context)
  return result
}

/// The tensor with slices replaced by updates, or combined with them in their order.
func evaluateScatterND(_ context: EvaluationContext) throws -> Tensor {
  let result = try context.tensor(0).copied(context.memory)
  let shape = try context.tensor(1).extents
  let updates = try context.tensor(2)
  let starts = try sliceOffsets(of: result, indexShape: shape, batch: 0, context)
  let rest = Array(result.extents[(shape.last ?? 0)...])
  guard updates.extents == shape.dropLast() + rest, updates.type == result.type else {
    throw context.failure(
      expected: "updates \(result.type)\(shape.dropLast() + rest)", found: "\(updates.type)\(updates.extents)")
  }
  let size = rest.reduce(1, *)
  try scatter(updates, at: starts.flatMap { start in (0..<size).map { start + $0 } }, into: result, context)
  return result
}

private func scatter(
  _ updates: Tensor, at offsets: [Int], into result: Tensor, _ context: EvaluationContext
) throws {
  let name = context.node.string("reduction") ?? "none"
  guard let reduction = Reduction(rawValue: name) else {
    throw context.failure(.unsupported, expected: "the reduction none, add, mul, max or min", found: "\"\(name)\"")
  }
  let dense = updates.contiguous(context.memory)
  defer { withExtendedLifetime((dense, result)) {} }
  func replace<Bits: FixedWidthInteger & Sendable>(_ type: Bits.Type) {
    let (from, to) = (dense.bits(type), result.writtenBits(type))
    for (index, offset) in offsets.enumerated() { to[offset] = from[index] }
  }
  func combine<Element: TensorElement>(_ type: Element.Type, _ body: (Element, Element) -> Element) {
    let (from, to) = (dense.pointer(type), result.written(type))
    for (index, offset) in offsets.enumerated() { to[offset] = body(to[offset], from[index]) }
  }
  func floats<Element: FloatElement>(_ type: Element.Type) {
    switch reduction {
    case .add: combine(type) { $0 + $1 }
    case .mul: combine(type) { $0 * $1 }
    case .max: combine(type) { $0.isNaN || $1.isNaN ? .nan : Swift.max($0, $1) }
    case .min: combine(type) { $0.isNaN || $1.isNaN ? .nan : Swift.min($0, $1) }
    case .none: break
    }
  }
  func wholes<Element: IntegerElement>(_ type: Element.Type) {
    switch reduction {
    case .add: combine(type) { $0 &+ $1 }
    case .mul: combine(type) { $0 &* $1 }
    case .max: combine(type) { Swift.max($0, $1) }
    case .min: combine(type) { Swift.min($0, $1) }
    case .none: break
    }
  }
  if reduction != .none {
    if let element = result.type.floatElement { return floats(element) }
    guard result.type != .string, result.type != .bool || reduction == .max || reduction == .min else {
      throw context.failure(.typeMismatch, expected: "numbers to combine", found: "\(result.type)")
    }
    let element = result.type.wholeElement
    return wholes(element)
  }
  switch result.type.computedByteCount {
  case 1: replace(UInt8.self)
  case 2: replace(UInt16.self)
  case 4: replace(UInt32.self)
  default: replace(UInt64.self)
  }
}

/// A cache with new positions written from where each sequence's writing index says, around its end when it is circular.
func evaluateTensorScatter(_ context: EvaluationContext) throws -> Tensor {
  let result = try context.tensor(0).copied(context.memory)
  let update = try context.tensor(1)
  let axis = try context.axis(context.node.integer("axis", default: -2), rank: result.rank)
  let mode = context.node.string("mode") ?? "linear"
  var fitting = update.extents
  if fitting.count == result.rank { fitting[axis] = result.extents[axis] }
  guard axis > 0, fitting == result.extents, update.extents[axis] <= result.extents[axis], update.type == result.type,
    mode == "linear" || mode == "circular"
  else {
    throw context.failure(
      expected: "an update that fits into \(result.extents) along axis \(axis), linear or circular",
      found: "\(update.extents), \(mode)")
  }
  let starts = context.has(2) ? try context.integers(2) : Array(repeating: 0, count: result.extents[0])
  guard starts.count == result.extents[0] else {
    throw context.failure(expected: "\(result.extents[0]) writing indices", found: "\(starts.count)")
  }
  let (length, room) = (update.extents[axis], result.extents[axis])
  for (sequence, start) in starts.enumerated() {
    guard start >= 0, mode == "circular" || start <= room - length else {
      throw context.failure(
        .indexOutOfRange, expected: "writing indices from 0 to \(room - length)", found: "\(start)")
    }
    let from = update.sliced(axis: 0, start: sequence, count: 1)
    let to = result.sliced(axis: 0, start: sequence, count: 1)
    for step in 0..<length {
      copyElements(
        of: from.sliced(axis: axis, start: step, count: 1),
        to: to.sliced(axis: axis, start: (start % max(room, 1) + step) % max(room, 1), count: 1), nil)
    }
  }
  return result
}
