import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// The order of work for a graph: its nodes, some of them joined, and the constants they read.
struct ExecutionPlan: Sendable {
  /// One node, or a product or convolution with what is applied to its result at once.
  struct Step: Sendable {
    /// The nodes, each reading the one before.
    var nodes: [Int]
    /// The vector added to each row of the product.
    var bias: ValueID?
    /// The tensor added to the result of a convolution.
    var added: ValueID?
    /// The function applied after it.
    var activation = UnaryOperation.copy
  }

  let graph: Graph
  let steps: [Step]
  /// Initializers in memory, by value.
  let constants: [Tensor?]
  /// Whether constant matrices are packed; in double precision they are not.
  let packs: Bool
  private let precision: ComputingPrecision
  /// The evaluator of each node.
  let evaluators: [Evaluator]

  /// Constants of up to this size are read when the graph is planned; larger ones when a node reads them.
  static let constantLimit = 4 << 20

  /// - Parameter depth: the bodies around the graph.
  init(_ graph: Graph, memory: Memory, depth: Int = 0) throws {
    try graph.validateStructure()
    self.graph = graph
    var evaluators: [Evaluator] = []
    for node in graph.nodes {
      guard let evaluator = EvaluatorTable.find(node.op) else {
        throw GraphError(
          .unsupported, subject: .node(node.name), expected: "an operator that can be evaluated", found: "\(node.op)")
      }
      evaluators.append(try PlannedBody.supply(evaluator, of: node, memory, depth: depth))
    }
    self.evaluators = evaluators
    constants = try Self.constants(of: graph, memory)
    packs = memory.precision != .double
    self.precision = memory.precision
    steps = packs ? Self.join(graph, precision) : graph.nodes.indices.map { Step(nodes: [$0]) }
  }

  /// Reads small initializers that are used otherwise than as the right-hand matrix of a product.
  private static func constants(of graph: Graph, _ memory: Memory) throws -> [Tensor?] {
    var wanted = Array(repeating: false, count: graph.values.count)
    for id in graph.outputs { wanted[id.index] = true }
    for node in graph.nodes {
      for (slot, input) in node.inputs.enumerated() {
        guard let input, let weight = graph[input].initializer else { continue }
        if !isPackedOperand(node, slot, weight, memory.precision) { wanted[input.index] = true }
      }
    }
    var constants: [Tensor?] = Array(repeating: nil, count: graph.values.count)
    for id in graph.initializers where wanted[id.index] {
      guard let weight = graph[id].initializer, (weight.shape.byteCount(of: weight.type) ?? .max) <= constantLimit
      else {
        continue
      }
      do {
        constants[id.index] = try Tensor(reading: weight, memory: memory)
      } catch let error as GraphError {
        throw GraphError(error.code, subject: .value(graph[id].name), expected: error.expected, found: error.found)
      }
    }
    return constants
  }

  /// Whether an operand is packed into panels and never read as it is.
  static func isPackedOperand(
    _ node: Node, _ slot: Int, _ weight: Weight, _ precision: ComputingPrecision
  ) -> Bool {
    guard slot == 1, weight.type.tracked(in: precision) == .f32, weight.type.canBeCast(to: .f32) else { return false }
    if node.op == OperatorName("Conv") {
      return hasKernel(node, weight, precision) && node.integer("group", default: 1) == 1
        && !weight.shape.extents.contains(0)
    }
    return (node.op == OperatorName("MatMul") || node.op == OperatorName("Gemm")) && weight.shape.rank == 2
  }

  /// Whether a convolution is one over one or two axes, in F32.
  private static func hasKernel(_ node: Node, _ weight: Weight, _ precision: ComputingPrecision) -> Bool {
    node.op == OperatorName("Conv") && (weight.shape.rank == 3 || weight.shape.rank == 4)
      && weight.type.tracked(in: precision) == .f32
  }

  /// The matrix `[depth, columns]` that a packed operand stands for.
  static func matrix(of weight: Weight, in node: Node) -> Weight {
    if node.op == OperatorName("Conv"), let filters = weight.shape.extents.first, filters > 0 {
      return weight.reshaped(Shape([filters, weight.shape.extents.dropFirst().reduce(1, *)])).transposed()
    }
    return node.op == OperatorName("Gemm") && node.integer("transB", default: 0) != 0 ? weight.transposed() : weight
  }

  /// The weights that products pack, each once.
  var packedWeights: [Weight] {
    var seen: Set<StructuralIdentity> = []
    var result: [Weight] = []
    for node in graph.nodes where packs {
      guard let id = node.input(1), let stored = graph[id].initializer,
        Self.isPackedOperand(node, 1, stored, precision)
      else { continue }
      let weight = Self.matrix(of: stored, in: node)
      if seen.insert(weight.structuralIdentity).inserted { result.append(weight) }
    }
    return result
  }

  /// Joins `MatMul → Add(bias) → activation` and `Conv → Add(tensor) → activation` where nobody else reads what lies between.
  private static func join(_ graph: Graph, _ precision: ComputingPrecision) -> [Step] {
    let uses = graph.uses
    let outputs = Set(graph.outputs)
    func onlyUse(_ node: Node) -> NodeSlot? {
      guard node.outputs.count == 1, let output = node.outputs[0], !outputs.contains(output),
        let found = uses[output], found.count == 1, graph.nodes[found[0].node].region == node.region
      else { return nil }
      return found[0]
    }
    var producers: [Int?] = Array(repeating: nil, count: graph.values.count)
    for (index, node) in graph.nodes.enumerated() {
      for case let output? in node.outputs { producers[output.index] = index }
    }
    var joined: Set<Int> = []
    var steps: [Step] = []
    for (index, node) in graph.nodes.enumerated() where !joined.contains(index) {
      var step = Step(nodes: [index])
      defer { steps.append(step) }
      guard let matrix = node.input(1), let weight = graph[matrix].initializer else { continue }
      if hasKernel(node, weight, precision) {
        // The addend is there already: of two convolutions that are added, the later one adds.
        if let use = onlyUse(node), graph.nodes[use.node].op == OperatorName("Add"), use.slot < 2,
          let other = graph.nodes[use.node].input(1 - use.slot), (producers[other.index] ?? -1) < index
        {
          step.nodes.append(use.node)
          step.added = other
        }
      } else if node.op != OperatorName("MatMul") || !isPackedOperand(node, 1, weight, precision) {
        continue
      } else if let use = onlyUse(node), graph.nodes[use.node].op == OperatorName("Add"),
        let other = graph.nodes[use.node].input(1 - use.slot), let bias = graph[other].initializer,
        bias.shape.extents == [weight.shape[1]], bias.type.tracked(in: precision) == .f32, use.slot < 2
      {
        step.nodes.append(use.node)
        step.bias = other
      }
      if let last = step.nodes.last, let use = onlyUse(graph.nodes[last]),
        let activation = kernelOperation(of: graph.nodes[use.node])
      {
        step.nodes.append(use.node)
        step.activation = activation
      }
      joined.formUnion(step.nodes)
    }
    return steps
  }
}
