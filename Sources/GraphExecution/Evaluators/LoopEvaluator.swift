import ModelGraph
import PollardBase
import TensorStorage

/// A body that runs as often as a trip count and a condition say.
///
/// Operands are the trip count and the condition, either of which may be left out, and the initial state. The body takes the number of
/// the iteration, the condition and the state; it gives the condition for going on, the state, and a position of each stacked result.
/// - Source: ONNX Loop-1 … Loop-25.
func evaluateLoop(_ context: EvaluationContext) throws -> [Tensor] {
  let planned = try context.requiredBody("body")
  let body = planned.body
  let stateCount = body.operandCount - 2
  let resultCount = body.graph.outputs.count
  guard stateCount >= 0, body.parameterTypes.count == stateCount + 2, resultCount > stateCount else {
    throw context.failure(
      .illFormed, expected: "a body that takes and gives \(max(stateCount, 0)) values of state",
      found: "\(body.parameterTypes.count) parameters and \(resultCount) results")
  }
  let trips = context.has(0) ? try context.integer(0) : nil
  var isGoing = context.has(1) ? try context.truth(1) : true
  var state = try (2..<stateCount + 2).map { try context.value($0) }
  var stacks = Array(repeating: TensorStack(), count: resultCount - 1 - stateCount)
  let call = try planned.call(context)
  let isEndless = isGoing && planned.keepsCondition
  var iteration = 0
  while isGoing, iteration < trips ?? .max {
    guard iteration < largestIterationCount, !isEndless || trips ?? .max <= largestIterationCount else {
      throw context.failure(
        .tooLarge, expected: "at most \(largestIterationCount) iterations", found: trips.map { "\($0)" } ?? "no end")
    }
    let parameters = [
      Tensor(integers: [Int64(iteration)], extents: body.scalarExtents(of: 0)),
      Tensor(truths: [true], extents: body.scalarExtents(of: 1)),
    ]
    let results = try call.run(parameters + state)
    isGoing = try context.truth(results[0], "the condition that the body gives")
    state = Array(results[1..<1 + stateCount])
    for (place, result) in results[(1 + stateCount)...].enumerated() { try stacks[place].append(result) }
    iteration += 1
  }
  return try state
    + stacks.enumerated().map { place, stack in
      try stack.parts.isEmpty
        ? context.emptyStack(body, 1 + stateCount + place, axis: 0) : stack.tensor(axis: 0, context.memory)
    }
}

/// The most times that a loop's body runs: what goes on for longer is taken for a loop without an end.
let largestIterationCount = 1 << 24

extension PlannedBody {
  /// Whether a loop's body gives the condition that it takes, or a constant, so that only the trip count ends it.
  fileprivate var keepsCondition: Bool {
    guard let result = body.graph.outputs.first else { return false }
    var id = result
    let producers = body.graph.producers
    while let producer = producers[id] {
      let node = body.graph.nodes[producer]
      guard node.op == OperatorName("Identity"), let operand = node.input(0) else { return false }
      id = operand
    }
    return body.graph.inputs.dropFirst().first == id
  }
}

extension NodeBody {
  /// The extents of a single number as a parameter: none, or those that the body declares.
  fileprivate func scalarExtents(of parameter: Int) -> [Int] {
    Array(repeating: 1, count: parameterTypes[parameter]?.shape?.count == 1 ? 1 : 0)
  }
}

extension EvaluationContext {
  /// A single truth value.
  func truth(_ value: Tensor, _ name: String) throws -> Bool {
    guard value.isTensor, value.type == .bool, value.elementCount == 1 else {
      throw failure(
        .typeMismatch, expected: "one BOOL as \(name)",
        found: value.compound?.phrase ?? "\(value.type)\(value.extents)")
    }
    return value.truths()[0]
  }

  /// What a body's results make when it never runs: the declared shape with an axis without positions; extents that are not known are 0.
  func emptyStack(_ body: NodeBody, _ result: Int, axis: Int) throws -> Tensor {
    guard result < body.resultTypes.count, let declared = body.resultTypes[result],
      let type = declared.element.computed(in: memory.precision)
    else {
      throw failure(
        .illFormed, expected: "a type of the body's result \(result), which never runs", found: "none")
    }
    var extents = (declared.shape ?? []).map { $0.constant ?? 0 }
    extents.insert(0, at: try self.axis(axis, rank: extents.count + 1))
    return try memory.tensor(type, extents, as: declared.element.tracked(in: memory.precision))
  }
}

extension EvaluatorTable {
  static let repetitions: [OperatorName: Evaluator] = [
    OperatorName("Loop"): { try evaluateLoop($0) },
    OperatorName("Scan"): { try evaluateScan($0) },
    OperatorName("SequenceMap"): { try evaluateSequenceMap($0) },
  ]
}
