import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Runs a graph: plans it once, then evaluates it for as many inputs as wanted.
///
/// Results do not depend on the number of threads, on the machine's instruction set, on which values are asked for, or on terms
/// that are exactly zero: every dot product runs over ascending k in one accumulator, bias and activation follow in that order.
///
/// Matrices are packed for the kernels when the executor is made, or node by node when they are streamed. Tables that rows are
/// gathered from stay in their file. Memory of intermediate values is reused within a run and from one run to the next.
public final class GraphExecutor: Sendable {
  /// The graph that runs.
  public var graph: Graph { plan.graph }
  /// Whether packed weights are kept from run to run.
  public let isResident: Bool
  /// The bytes that the packed matrices of the whole graph take.
  public let packedByteCount: Int

  private let plan: ExecutionPlan
  private let memory: Memory
  private let matrices: PackedMatrices

  /// Plans a graph and, unless weights are streamed, packs its matrices.
  ///
  /// - Parameters:
  ///   - weights: whether packed matrices are kept. In double precision nothing is packed, and matrices are always streamed.
  ///   - precision: in double precision outputs and values of F32 are F64.
  ///   - other: an executor whose memory of intermediate values this one takes from as well.
  /// - Throws: `GraphError`: `unsupported` for an operator that cannot be evaluated, and what `Graph.validate()` finds;
  ///   `FormatError` when a weight cannot be read.
  /// - Complexity: O(nodes + elements of all matrices).
  public init(
    _ graph: Graph, threads: ThreadPool, weights: WeightResidency = .automatic,
    precision: ComputingPrecision = .declared, sharingMemoryWith other: GraphExecutor? = nil
  ) throws {
    memory = Memory(pool: threads, buffers: other?.memory.buffers ?? BufferPool(), precision: precision)
    plan = try ExecutionPlan(graph, memory: memory)
    let packed = plan.packedWeights
    packedByteCount = packed.reduce(0) { $0 + PackedMatrices.byteCount(of: $1) }
    switch weights {
    case .resident: isResident = true
    case .streamed: isResident = false
    case .residentUpTo(let limit): isResident = packedByteCount < limit
    }
    matrices = PackedMatrices(resident: isResident)
    if isResident { for weight in packed { _ = try matrices.matrix(of: weight, pool: threads) } }
  }

  /// Evaluates the graph.
  ///
  /// - Parameters:
  ///   - inputs: a tensor for each input by name; those in `Graph.derivedInputs` may be left out. I32 is taken for I64.
  ///   - collecting: names of taps or of any other values, wanted beside the outputs.
  /// - Returns: the outputs and the values asked for, by name.
  /// - Throws: `GraphError` naming the input or node: `unknownInput`, `missingInput`, `unknownValue`, `typeMismatch`,
  ///   `shapeMismatch`, `indexOutOfRange`, `tooLarge`; `FormatError` when a weight cannot be read.
  public func run(inputs: [String: Tensor], collecting names: Set<String> = []) throws -> [String: Tensor] {
    var wanted: [(name: String, id: ValueID)] = []
    if !names.isEmpty {
      var known: [String: ValueID] = [:]
      for (index, value) in graph.values.enumerated() { known[value.name] = ValueID(index) }
      for tap in graph.taps { known[tap.name] = tap.value }
      for name in names.sorted() {
        guard let id = known[name] else {
          throw GraphError(.unknownValue, subject: .value(name), expected: "a tap or value of the graph", found: name)
        }
        wanted.append((name, id))
      }
    }
    let (outputs, values) = try run(inputs: inputs, collectingValues: Set(wanted.map(\.id)))
    var result = outputs
    for (name, id) in wanted { result[name] = values[id] }
    return result
  }

  /// Evaluates the graph and gives the outputs by name, and any values asked for by number.
  ///
  /// - Throws: as `run(inputs:collecting:)`.
  public func run(
    inputs: [String: Tensor], collectingValues wanted: Set<ValueID>
  ) throws -> (outputs: [String: Tensor], values: [ValueID: Tensor]) {
    var values: [ValueID: Tensor] = [:]
    let outputs = try run(inputs: inputs, observing: wanted) { values[$0] = $1 }
    return (outputs, values)
  }

  /// Evaluates the graph and shows values as they appear, so that they need not be kept.
  ///
  /// - Parameters:
  ///   - inputs: as for `run(inputs:collecting:)`.
  ///   - wanted: the values to be shown, in any number. Asking for a value never changes a bit of another.
  ///   - observe: is called once for each of them, in the order of the graph: inputs, initializers, results.
  /// - Throws: as `run(inputs:collecting:)`, and what `observe` throws.
  public func run(
    inputs: [String: Tensor], observing wanted: Set<ValueID>, _ observe: (ValueID, Tensor) throws -> Void
  ) throws -> [String: Tensor] {
    if let stranger = wanted.first(where: { !graph.values.indices.contains($0.index) }) {
      throw GraphError(.unknownValue, expected: "a value of the graph", found: "number \(stranger.index)")
    }
    var run = GraphRun(plan: plan, memory: memory, matrices: matrices, wanted: wanted)
    defer { memory.buffers.endRound() }
    return try run.evaluate(inputs, observe, timing: nil)
  }

  /// Evaluates some values, others being given: only what leads from the given ones to the wanted ones is computed.
  ///
  /// This is how work that runs share is done once: what comes before the given values is not looked at. The wanted values have the bits that a
  /// whole run gives them when the given ones have theirs.
  ///
  /// - Parameters:
  ///   - wanted: the values that are returned. One in a branch that does not run is left out.
  ///   - inputs: as for `run(inputs:collecting:)`; none at all where the wanted values depend on constants and given values alone.
  ///   - given: values that take the place of what their nodes would compute; they have the types and ranks that these would have.
  /// - Throws: as `run(inputs:collecting:)`.
  public func values(
    of wanted: Set<ValueID>, inputs: [String: Tensor], given: [ValueID: Tensor] = [:]
  ) throws -> [ValueID: Tensor] {
    if let stranger = wanted.union(given.keys).first(where: { !graph.values.indices.contains($0.index) }) {
      throw GraphError(.unknownValue, expected: "a value of the graph", found: "number \(stranger.index)")
    }
    if let constant = given.keys.first(where: { graph[$0].initializer != nil }) {
      throw GraphError(
        .unknownValue, subject: .value(graph[constant].name), expected: "a computed value to replace",
        found: "a constant")
    }
    var run = GraphRun(
      plan: plan, memory: memory, matrices: matrices, wanted: wanted, given: given, giving: [])
    defer { memory.buffers.endRound() }
    var values: [ValueID: Tensor] = [:]
    _ = try run.evaluate(inputs, { values[$0] = $1 }, timing: nil)
    return values
  }

  /// Begins a run that is continued step by step, so that several models can be walked side by side.
  ///
  /// - Parameters: as for `run(inputs:observing:_:)`.
  /// - Throws: as `run(inputs:collecting:)`, for the inputs.
  public func stepping(inputs: [String: Tensor], observing wanted: Set<ValueID>) throws -> SteppedRun {
    if let stranger = wanted.first(where: { !graph.values.indices.contains($0.index) }) {
      throw GraphError(.unknownValue, expected: "a value of the graph", found: "number \(stranger.index)")
    }
    let run = GraphRun(plan: plan, memory: memory, matrices: matrices, wanted: wanted)
    return SteppedRun(run, inputs: inputs, stepCount: plan.steps.count, buffers: memory.buffers)
  }

  /// Evaluates the graph and adds up where the time goes, by operator.
  package func profile(inputs: [String: Tensor]) throws -> [String: Duration] {
    var times: [String: Duration] = [:]
    var run = GraphRun(plan: plan, memory: memory, matrices: matrices, wanted: [])
    defer { memory.buffers.endRound() }
    _ = try run.evaluate(inputs, { _, _ in }, timing: { times[$0, default: .zero] += $1 })
    return times
  }
}
