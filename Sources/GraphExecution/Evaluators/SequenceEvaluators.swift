import ModelGraph
import PollardBase
import TensorStorage

/// Operators of sequences and of optional values. A sequence holds tensors; it is never changed, a longer one is another one.
///
/// - Source: ONNX SequenceConstruct-11, SequenceInsert-11, SplitToSequence-11, -24, ConcatFromSequence-11, SequenceMap-17, Optional-15,
///   OptionalGetElement-18, OptionalHasElement-18.
extension EvaluatorTable {
  static let sequences: [OperatorName: Evaluator] = [
    OperatorName("SequenceEmpty"): { _ in [Tensor(sequence: [])] },
    OperatorName("SequenceConstruct"): { context in
      [try context.kept(context.operands.indices.map { try context.tensor($0) })]
    },
    OperatorName("SequenceAt"): { context in
      let elements = try context.sequence(0)
      return [elements[try context.position(1, in: elements.count)]]
    },
    OperatorName("SequenceInsert"): { context in
      var elements = try context.sequence(0)
      guard elements.count < largestSequence else {
        throw context.failure(.tooLarge, expected: "at most \(largestSequence) tensors", found: "one more")
      }
      // The place behind the last element is a place too.
      let place = context.has(2) ? try context.position(2, in: elements.count, end: elements.count) : elements.count
      elements.insert(try context.tensor(1), at: place)
      return [try context.kept(elements)]
    },
    OperatorName("SequenceErase"): { context in
      var elements = try context.sequence(0)
      let place = context.has(1) ? try context.position(1, in: elements.count) : elements.count - 1
      guard place >= 0 else {
        throw context.failure(.indexOutOfRange, expected: "a sequence with a last element", found: "an empty one")
      }
      elements.remove(at: place)
      return [Tensor(sequence: elements)]
    },
    OperatorName("SequenceLength"): { context in
      [Tensor(integers: [Int64(try context.sequence(0).count)], extents: [])]
    },
    OperatorName("SplitToSequence"): { [try evaluateSplitToSequence($0)] },
    OperatorName("ConcatFromSequence"): { [try evaluateConcatFromSequence($0)] },
  ]

  static let optionals: [OperatorName: Evaluator] = [
    OperatorName("Optional"): { [$0.has(0) ? try $0.value(0) : .absent] },
    OperatorName("OptionalHasElement"): { context in
      [Tensor(truths: [context.has(0) ? try !context.value(0).isAbsent : false], extents: [])]
    },
    OperatorName("OptionalGetElement"): { context in
      let value = try context.value(0)
      guard !value.isAbsent else {
        throw context.failure(.typeMismatch, expected: "a value", found: "an empty optional value")
      }
      return [value]
    },
  ]
}

/// The most tensors in one sequence.
private let largestSequence = 1 << 20

extension EvaluationContext {
  /// A sequence of tensors that are each in memory of their own.
  fileprivate func kept(_ elements: [Tensor]) throws -> Tensor {
    var budget = KeptTensorBudget()
    for element in elements { try budget.take(element) }
    return Tensor(sequence: elements)
  }

  /// A position in a sequence; negative ones count from the end.
  fileprivate func position(_ slot: Int, in count: Int, end: Int? = nil) throws -> Int {
    let wanted = try integer(slot)
    let last = end ?? count - 1
    guard wanted >= -count, wanted <= last else {
      throw failure(
        .indexOutOfRange, expected: "a position from \(-count) to \(last) of a sequence", found: "\(wanted)")
    }
    return wanted < 0 ? wanted + count : wanted
  }
}

/// Parts of a tensor along an axis: of the given extents, or of one extent with a smaller last part, or single positions.
func evaluateSplitToSequence(_ context: EvaluationContext) throws -> Tensor {
  let tensor = try context.tensor(0)
  let axis = try context.axis(context.node.integer("axis", default: 0), rank: tensor.rank)
  let extent = tensor.extents[axis]
  guard context.has(1) else {
    guard extent <= largestSequence else {
      throw context.failure(.tooLarge, expected: "at most \(largestSequence) tensors", found: "\(extent)")
    }
    let keepsAxis = context.node.integer("keepdims", default: 1) != 0
    return Tensor(
      sequence: (0..<extent).map {
        keepsAxis ? tensor.sliced(axis: axis, start: $0, count: 1) : tensor.position($0, of: axis)
      })
  }
  var parts = try context.integers(1)
  if try context.tensor(1).rank == 0 {
    guard let size = parts.first, size > 0, extent / size < largestSequence else {
      throw context.failure(expected: "parts of at least one position", found: "\(parts)")
    }
    parts = stride(from: 0, to: extent, by: size).map { min(size, extent - $0) }
  }
  var sum = 0
  for part in parts {
    let (total, overflow) = sum.addingReportingOverflow(part)
    guard part >= 0, !overflow, total <= extent else {
      throw context.failure(expected: "parts that sum to \(extent)", found: "\(parts)")
    }
    sum = total
  }
  guard sum == extent else { throw context.failure(expected: "parts that sum to \(extent)", found: "\(parts)") }
  var start = 0
  return Tensor(
    sequence: parts.map { part in
      defer { start += part }
      return tensor.sliced(axis: axis, start: start, count: part)
    })
}

/// The tensors of a sequence along an axis that they have, or along a new one.
func evaluateConcatFromSequence(_ context: EvaluationContext) throws -> Tensor {
  let elements = try context.sequence(0)
  guard let first = elements.first else {
    throw context.failure(.unsupported, expected: "a sequence of at least one tensor", found: "an empty one")
  }
  guard case .integer(let wanted)? = context.node.attributes["axis"] else {
    throw context.failure(.illFormed, expected: "the attribute \"axis\"", found: "none")
  }
  guard context.node.integer("new_axis", default: 0) != 0 else {
    return try concatenated(elements, axis: try context.axis(wanted, rank: first.rank), context)
      .declared(first.declaredType)
  }
  var stack = TensorStack()
  for element in elements { try stack.append(element) }
  return try stack.tensor(axis: try context.axis(wanted, rank: first.rank + 1), context.memory)
}

/// A body for each element of a sequence; operands that are tensors are the same for each.
func evaluateSequenceMap(_ context: EvaluationContext) throws -> [Tensor] {
  let planned = try context.requiredBody("body")
  let elements = try context.sequence(0)
  let others = try (1..<max(1, planned.body.operandCount)).map { try context.value($0) }
  for other in others {
    if let sequence = other.sequence, sequence.count != elements.count {
      throw context.failure(expected: "sequences of \(elements.count) tensors", found: "\(sequence.count)")
    }
  }
  let call = try planned.call(context)
  var results = Array(repeating: [Tensor](), count: planned.body.graph.outputs.count)
  var budget = KeptTensorBudget()
  for index in elements.indices {
    let found = try call.run([elements[index]] + others.map { $0.sequence?[index] ?? $0 })
    for (place, result) in found.enumerated() {
      if let compound = result.compound {
        throw context.failure(.typeMismatch, expected: "tensors as results of the body", found: compound.phrase)
      }
      try budget.take(result)
      results[place].append(result)
    }
  }
  return results.map { Tensor(sequence: $0) }
}
