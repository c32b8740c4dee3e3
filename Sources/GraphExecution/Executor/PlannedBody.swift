import ModelGraph
import PollardBase
import TensorStorage

/// A graph that a node runs, planned once for all of its runs.
struct PlannedBody: Sendable {
  /// The body.
  let body: NodeBody
  private let plan: ExecutionPlan
  /// Where matrices are kept from one run to the next when the graph around does not keep any; nil when they take too much for that.
  private let matrices: PackedMatrices?

  /// The most bodies one inside the other.
  static let largestDepth = 64
  /// The most bytes of packed matrices that a body keeps in a run whose weights are streamed.
  private static let keptByteCount = 64 << 20

  private init(_ body: NodeBody, _ memory: Memory, depth: Int) throws {
    guard depth < Self.largestDepth else {
      throw GraphError(
        .tooLarge, expected: "at most \(Self.largestDepth) graphs one inside the other", found: "more")
    }
    self.body = body
    plan = try ExecutionPlan(body.graph, memory: memory, depth: depth + 1)
    let byteCount = plan.packedWeights.reduce(0) { $0 &+ PackedMatrices.byteCount(of: $1) }
    matrices = byteCount <= Self.keptByteCount ? PackedMatrices(resident: true) : nil
  }

  /// An evaluator that sees the planned bodies of its node; the evaluator itself when the node has none.
  static func supply(
    _ evaluator: @escaping Evaluator, of node: Node, _ memory: Memory, depth: Int
  ) throws -> Evaluator {
    if node.bodies.isEmpty { return evaluator }
    let bodies = try node.bodies.map { try PlannedBody($0, memory, depth: depth) }
    return { context in
      var supplied = context
      supplied.bodies = bodies
      return try evaluator(supplied)
    }
  }

  /// The body of a node, ready for any number of runs with one state of the values around it.
  struct Call {
    fileprivate let planned: PlannedBody
    fileprivate let captured: [Tensor]
    fileprivate let context: EvaluationContext

    /// Runs the body.
    ///
    /// - Throws: `illFormed` when it has another number of parameters; what its nodes throw.
    func run(_ parameters: [Tensor]) throws -> [Tensor] {
      let graph = planned.plan.graph
      guard parameters.count == planned.body.parameterTypes.count else {
        throw context.failure(
          .illFormed, expected: "a body of \(parameters.count) parameters",
          found: "\(planned.body.parameterTypes.count)")
      }
      var inputs: [String: Tensor] = [:]
      for (id, value) in zip(graph.inputs, parameters + captured) { inputs[graph[id].name] = value }
      let matrices = context.matrices.resident ? context.matrices : planned.matrices ?? context.matrices
      var run = GraphRun(plan: planned.plan, memory: context.memory, matrices: matrices, wanted: [])
      let results = try run.evaluate(inputs, { _, _ in }, timing: nil)
      return try graph.outputs.map { id in
        guard let value = results[graph[id].name] else {
          throw context.failure(.illFormed, expected: "a result \(graph[id].name) of the body", found: "none")
        }
        return value
      }
    }
  }

  /// Reads the values around a node that the body uses.
  func call(_ context: EvaluationContext) throws -> Call {
    Call(planned: self, captured: try body.captures.map { try context.value($0) }, context: context)
  }
}

extension EvaluationContext {
  /// The body that an attribute holds; nil when the node has none.
  func body(_ attribute: String) -> PlannedBody? { bodies.first { $0.body.attribute == attribute } }

  /// As `body`, where it must be there.
  func requiredBody(_ attribute: String) throws -> PlannedBody {
    if let found = body(attribute) { return found }
    throw failure(.illFormed, expected: "a graph as attribute \"\(attribute)\"", found: "none")
  }
}
