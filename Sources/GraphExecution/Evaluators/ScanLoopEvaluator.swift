import ModelGraph
import PollardBase
import TensorStorage

/// A body that runs once for each position of an axis of its scan inputs.
///
/// Operands are the initial state and the scan inputs. The body takes the state and one position of each input; it gives the state and
/// one position of each stacked result. Version 8 has lengths as first operand, and a batch axis before all others.
/// - Source: ONNX Scan-8, Scan-9 … Scan-25.
func evaluateScan(_ context: EvaluationContext) throws -> [Tensor] {
  let scan = try ScanForm(context)
  return context.node.version < 9 ? try scan.evaluateBatches() : try scan.evaluate()
}

/// A scan with its counts, axes and directions checked.
private struct ScanForm {
  let context: EvaluationContext
  let planned: PlannedBody
  /// The operand slot of the first value of state.
  let firstState: Int
  let stateCount: Int
  let inputCount: Int
  let resultCount: Int

  init(_ context: EvaluationContext) throws {
    self.context = context
    planned = try context.requiredBody("body")
    firstState = context.node.version < 9 ? 1 : 0
    inputCount = context.node.integer("num_scan_inputs", default: 0)
    let body = planned.body
    let operandCount = body.operandCount - firstState
    guard inputCount > 0, inputCount <= operandCount, body.parameterTypes.count == operandCount,
      body.graph.outputs.count >= operandCount - inputCount
    else {
      throw context.failure(
        .illFormed, expected: "a body that takes \(max(operandCount, 0)) values, \(inputCount) of them scanned",
        found: "\(body.parameterTypes.count) parameters and \(body.graph.outputs.count) results")
    }
    stateCount = operandCount - inputCount
    resultCount = body.graph.outputs.count - stateCount
  }

  /// A list with an entry for each scan input or result.
  private func list(_ name: String, _ count: Int) throws -> [Int] {
    let found = context.node.integers(name) ?? Array(repeating: 0, count: count)
    guard found.count == count else {
      throw context.failure(.illFormed, expected: "\(count) numbers as \(name)", found: "\(found.count)")
    }
    return found
  }

  private func directions(_ name: String, _ count: Int) throws -> [Bool] {
    try list(name, count).map { number in
      guard number == 0 || number == 1 else {
        throw context.failure(.illFormed, expected: "0 or 1 in \(name)", found: "\(number)")
      }
      return number == 1
    }
  }

  private func inputs() throws -> [Tensor] {
    try (0..<inputCount).map { try context.tensor(firstState + stateCount + $0) }
  }

  /// Runs the body for each position; gives the state after the last and the stacked positions.
  private func steps(
    _ count: Int, _ call: PlannedBody.Call, _ initial: [Tensor],
    _ inputs: [(tensor: Tensor, axis: Int, isReversed: Bool)],
    length: Int
  ) throws -> (state: [Tensor], stacks: [TensorStack]) {
    var state = initial
    var stacks = Array(repeating: TensorStack(), count: resultCount)
    for step in 0..<count {
      let positions = inputs.map { $0.tensor.position($0.isReversed ? length - 1 - step : step, of: $0.axis) }
      let results = try call.run(state + positions)
      state = Array(results[..<stateCount])
      for place in 0..<resultCount { try stacks[place].append(results[stateCount + place]) }
    }
    return (state, stacks)
  }

  /// From version 9 on.
  func evaluate() throws -> [Tensor] {
    let tensors = try inputs()
    let axes = try zip(try list("scan_input_axes", inputCount), tensors).map { axis, tensor in
      try context.axis(axis, rank: tensor.rank)
    }
    let count = tensors[0].extents[axes[0]]
    for (axis, tensor) in zip(axes, tensors) where tensor.extents[axis] != count {
      throw context.failure(expected: "\(count) positions in each scan input", found: "\(tensor.extents[axis])")
    }
    let reversed = try directions("scan_input_directions", inputCount)
    let outputAxes = try list("scan_output_axes", resultCount)
    let outputReversed = try directions("scan_output_directions", resultCount)
    let initial = try (0..<stateCount).map { try context.value(firstState + $0) }
    let (state, stacks) = try steps(
      count, planned.call(context), initial, tensors.indices.map { (tensors[$0], axes[$0], reversed[$0]) },
      length: count)
    return try state
      + stacks.enumerated().map { place, stack in
        guard let first = stack.parts.first else {
          return try context.emptyStack(planned.body, stateCount + place, axis: outputAxes[place])
        }
        return try stack.tensor(
          axis: context.axis(outputAxes[place], rank: first.rank + 1), isReversed: outputReversed[place],
          context.memory)
      }
  }

  /// Version 8: axis 0 is the batch, axis 1 of scan inputs and of stacked results is scanned, each sequence to its own length.
  func evaluateBatches() throws -> [Tensor] {
    let tensors = try inputs()
    let states = try (0..<stateCount).map { try context.tensor(firstState + $0) }
    guard let first = tensors.first, tensors.allSatisfy({ $0.rank >= 2 }) else {
      throw context.failure(expected: "scan inputs with a batch axis and a sequence axis", found: "fewer axes")
    }
    let (batches, length) = (first.extents[0], first.extents[1])
    guard tensors.allSatisfy({ $0.extents[0] == batches && $0.extents[1] == length }),
      states.allSatisfy({ $0.extents.first == batches })
    else {
      throw context.failure(
        expected: "a batch of \(batches) and \(length) positions in each operand",
        found: (states + tensors).map { "\($0.extents)" }.joined(separator: " and "))
    }
    let lengths = context.has(0) ? try context.integers(0) : Array(repeating: length, count: batches)
    guard lengths.count == batches, lengths.allSatisfy({ (0...length).contains($0) }) else {
      throw context.failure(expected: "\(batches) lengths from 0 to \(length)", found: "\(lengths)")
    }
    let reversed = try directions("directions", inputCount)
    let call = try planned.call(context)
    var finalStates = Array(repeating: TensorStack(), count: stateCount)
    var finalResults = Array(repeating: TensorStack(), count: resultCount)
    for batch in 0..<batches {
      let (state, stacks) = try steps(
        lengths[batch], call, states.map { $0.position(batch, of: 0) },
        tensors.indices.map { (tensors[$0].position(batch, of: 0), 0, reversed[$0]) }, length: lengths[batch])
      for place in 0..<stateCount { try finalStates[place].append(state[place]) }
      for place in 0..<resultCount {
        guard !stacks[place].parts.isEmpty else {
          throw context.failure(.unsupported, expected: "sequences of at least one position", found: "one of none")
        }
        try finalResults[place].append(stacks[place].tensor(axis: 0, count: length, context.memory))
      }
    }
    guard batches > 0 else { throw context.failure(.unsupported, expected: "a batch of at least one", found: "none") }
    return try (finalStates + finalResults).map { try $0.tensor(axis: 0, context.memory) }
  }
}
