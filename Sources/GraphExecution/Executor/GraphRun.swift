import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// One evaluation of a plan: the values that are alive, and how often each is still to be read.
struct GraphRun {
  let plan: ExecutionPlan
  let memory: Memory
  private let matrices: PackedMatrices
  private let wanted: Set<ValueID>
  /// Values that are not computed but given.
  private let given: [ValueID: Tensor]
  var values: [Tensor?]
  var readsLeft: [Int]
  private var needed: [Bool]
  /// The step that comes next.
  private(set) var nextStep = 0
  private var reading: (ahead: FileReadAhead, firstPart: [Int])?

  init(
    plan: ExecutionPlan, memory: Memory, matrices: PackedMatrices, wanted: Set<ValueID>,
    given: [ValueID: Tensor] = [:], giving outputs: [ValueID]? = nil
  ) {
    self.given = given
    self.plan = plan
    self.memory = memory
    self.matrices = matrices
    self.wanted = wanted
    let graph = plan.graph
    values = plan.constants
    readsLeft = Array(repeating: 0, count: graph.values.count)
    needed = Array(repeating: false, count: graph.nodes.count)
    for id in outputs ?? graph.outputs { readsLeft[id.index] += 1 }
    for id in wanted { readsLeft[id.index] += 1 }
    for (index, node) in graph.nodes.enumerated().reversed() {
      guard node.outputs.contains(where: { $0.map { readsLeft[$0.index] > 0 && given[$0] == nil } ?? false }) else {
        continue
      }
      needed[index] = true
      for case let input? in node.inputs { readsLeft[input.index] += 1 }
      // A condition is kept to the end of the run: it is read once for each node of its branch.
      for region in graph.regions(around: node) { readsLeft[region.condition.index] += 1 }
    }
  }

  /// Runs every step that an output or a wanted value needs.
  mutating func evaluate(
    _ inputs: [String: Tensor], _ observe: (ValueID, Tensor) throws -> Void, timing: ((String, Duration) -> Void)?
  ) throws -> [String: Tensor] {
    try begin(inputs, observe)
    while try advance(observe, timing: timing) {}
    return try results()
  }

  /// Takes the inputs, and shows those that are wanted.
  mutating func begin(_ inputs: [String: Tensor], _ observe: (ValueID, Tensor) throws -> Void) throws {
    let graph = plan.graph
    if graph.inputs.contains(where: { readsLeft[$0.index] > 0 && given[$0] == nil }) || !inputs.isEmpty {
      for (id, tensor) in try graph.bind(inputs, memory) { values[id.index] = tensor }
    }
    for (id, tensor) in given { values[id.index] = readsLeft[id.index] > 0 ? tensor : nil }
    if !matrices.resident, plan.packs {
      let planned = plan.plannedReading(needed, memory.precision)
      if planned.byteCount > PlannedReading.window / 4 {
        reading = (FileReadAhead(planned.parts, window: PlannedReading.window), planned.firstPart)
      }
    }
    for id in wanted.sorted() {
      if graph[id].initializer != nil { try observe(id, try constant(id)) }
      if let input = values[id.index], graph[id].initializer == nil { try observe(id, input) }
    }
  }

  /// Runs the next step that is needed; false when there was none.
  mutating func advance(
    _ observe: (ValueID, Tensor) throws -> Void, timing: ((String, Duration) -> Void)?
  ) throws -> Bool {
    let graph = plan.graph
    while nextStep < plan.steps.count {
      let step = plan.steps[nextStep]
      reading?.ahead.reached(reading?.firstPart[nextStep] ?? 0)
      nextStep += 1
      guard let last = step.nodes.last, needed[last] || step.nodes.contains(where: { needed[$0] }) else { continue }
      if !graph.regions.isEmpty, try !isActive(graph.nodes[last]) {
        for index in step.nodes where needed[index] { release(graph.nodes[index]) }
        continue
      }
      let clock = ContinuousClock()
      let start = timing.map { _ in clock.now }
      if step.nodes.count > 1, needed[last], !isInteriorWanted(step) {
        try evaluateJoined(step)
      } else {
        for index in step.nodes where needed[index] { try evaluateNode(index, observe) }
      }
      if needed[last], step.nodes.count > 1, !isInteriorWanted(step) { try show(graph.nodes[last], observe) }
      if let timing, let start { timing(graph.nodes[step.nodes[0]].op.name, clock.now - start) }
      return true
    }
    reading = nil
    return false
  }

  /// The outputs, after the last step.
  func results() throws -> [String: Tensor] {
    let graph = plan.graph
    var results: [String: Tensor] = [:]
    for id in graph.outputs {
      results[graph[id].name] = graph[id].initializer == nil ? values[id.index] : try constant(id)
    }
    return results
  }

  /// Whether all conditions around a node say that it runs.
  private func isActive(_ node: Node) throws -> Bool {
    for region in plan.graph.regions(around: node) {
      guard let condition = try values[region.condition.index] ?? optionalConstant(region.condition) else {
        return false
      }
      guard condition.type == .bool, condition.elementCount == 1 else {
        throw GraphError(
          .typeMismatch, subject: .value(plan.graph[region.condition].name), expected: "one BOOL as a condition",
          found: "\(condition.type)\(condition.extents)")
      }
      if condition.truths()[0] != region.runsWhen { return false }
    }
    return true
  }

  private func optionalConstant(_ id: ValueID) throws -> Tensor? {
    plan.graph[id].initializer == nil ? nil : try constant(id)
  }

  private func isInteriorWanted(_ step: ExecutionPlan.Step) -> Bool {
    if wanted.isEmpty, given.isEmpty { return false }
    return step.nodes.dropLast().contains { index in
      plan.graph.nodes[index].outputs.contains { $0.map { wanted.contains($0) || given[$0] != nil } ?? false }
    }
  }

  private func constant(_ id: ValueID) throws -> Tensor {
    if let tensor = plan.constants[id.index] { return tensor }
    guard let weight = plan.graph[id].initializer else {
      throw GraphError(.illFormed, subject: .value(plan.graph[id].name), expected: "a constant", found: "none")
    }
    return try Tensor(reading: weight, memory: memory)
  }

  private func context(_ node: Node) throws -> EvaluationContext {
    var operands: [Operand?] = []
    operands.reserveCapacity(node.inputs.count)
    for (slot, input) in node.inputs.enumerated() {
      guard let input else {
        operands.append(nil)
        continue
      }
      let weight = plan.graph[input].initializer
      if let weight, plan.packs, ExecutionPlan.isPackedOperand(node, slot, weight, memory.precision) {
        operands.append(.weight(weight))
      } else if let tensor = values[input.index] {
        operands.append(.tensor(tensor))
      } else if let weight {
        operands.append(.weight(weight))
      } else if plan.graph.regions.isEmpty || node.op != OperatorName("If") {
        throw GraphError(.illFormed, subject: .value(plan.graph[input].name), expected: "a value", found: "none")
      } else {
        operands.append(nil)
      }
    }
    return EvaluationContext(node: node, operands: operands, graph: plan.graph, memory: memory, matrices: matrices)
  }

  private mutating func evaluateNode(_ index: Int, _ observe: (ValueID, Tensor) throws -> Void) throws {
    let node = plan.graph.nodes[index]
    if let result = try evaluatedInPlace(node) {
      release(node)
      if case let output?? = node.outputs.first, readsLeft[output.index] > 0 { values[output.index] = result }
      return try show(node, observe)
    }
    let context = try context(node)
    let results: [Tensor]
    do {
      let exact = try plan.evaluators[index](context)
      results = memory.precision == .rounded ? try ResultTypes.rounded(exact, of: context) : exact
    } catch let error as GraphError where error.subject == nil {
      throw GraphError(
        error.code, subject: .node(node.name), expected: error.expected, found: error.found, remedy: error.remedy)
    }
    release(node)
    for (slot, output) in node.outputs.enumerated() {
      guard let output else { continue }
      guard slot < results.count else {
        throw context.failure(
          .unsupported, expected: "at most \(results.count) results", found: "\(node.outputs.count)")
      }
      if readsLeft[output.index] > 0, given[output] == nil { values[output.index] = results[slot] }
    }
    try show(node, observe)
  }

  /// A product or convolution with what is added to it and its activation.
  private mutating func evaluateJoined(_ step: ExecutionPlan.Step) throws {
    let nodes = plan.graph.nodes
    let context = try context(nodes[step.nodes[0]])
    let result: Tensor
    if context.node.op == OperatorName("Conv") {
      let added = try step.added.map { try values[$0.index] ?? constant($0) }
      result = try convolve(context, added: added, activation: step.activation)
    } else {
      let bias = try step.bias.map { try constant($0) }
      result = try multiply(context, bias: bias, activation: step.activation)
    }
    for index in step.nodes { release(nodes[index]) }
    if let last = step.nodes.last, case let output?? = nodes[last].outputs.first { values[output.index] = result }
  }

  /// Lets go of operands that nobody reads any more.
  private mutating func release(_ node: Node) {
    for case let input? in node.inputs {
      readsLeft[input.index] -= 1
      if readsLeft[input.index] == 0, plan.graph[input].initializer == nil { values[input.index] = nil }
    }
  }

  private mutating func show(_ node: Node, _ observe: (ValueID, Tensor) throws -> Void) throws {
    if wanted.isEmpty { return }
    for case let output? in node.outputs where wanted.contains(output) && given[output] == nil {
      if let tensor = values[output.index] { try observe(output, tensor) }
      readsLeft[output.index] -= 1
      if readsLeft[output.index] == 0 { values[output.index] = nil }
    }
  }
}

extension Graph {
  /// The branches around a node, innermost first.
  fileprivate func regions(around node: Node) -> [Region] {
    var result: [Region] = []
    var next = node.region
    while let index = next, regions.indices.contains(index), result.count < regions.count {
      result.append(regions[index])
      next = regions[index].parent
    }
    return result
  }
}
