import PollardBase
import TensorStorage

/// Every value's axes as products of factors, unified by the statements of all operators.
public struct AxisRelations: Sendable {
  /// The factors.
  public private(set) var table = FactorTable()
  /// The axes of values that are not initializers; absent when the shape is unknown.
  public private(set) var valueAxes: [ValueID: [Axis]] = [:]
  /// The axes of initializers, separately for each use: exporters share equal tensors, and two uses may be cut differently.
  public private(set) var operandAxes: [NodeSlot: [Axis]] = [:]
  /// Every sum of products.
  public private(set) var contractions: [Contraction] = []

  /// Relates the axes of a graph whose types are inferred.
  ///
  /// - Complexity: linear in nodes and operand slots, up to the depth of the union-find forest.
  public init(_ graph: Graph, inference: ShapeInference) {
    for id in graph.inputs { makeAxes(id, in: graph) }
    for (index, node) in graph.nodes.enumerated() {
      for case let output? in node.outputs { makeAxes(output, in: graph) }
      relate(node, index, in: graph, inference)
    }
    for id in graph.inputs { pinAll(id, .graphInput) }
    for id in graph.outputs {
      pinAll(id, .graphOutput)
      pinOrigins(inference.integers[id] ?? [], Pin(.sizeAsValue, node: nil))
    }
  }

  /// The axes of an operand.
  public func axes(of slot: NodeSlot, in graph: Graph) -> [Axis]? {
    if let axes = operandAxes[slot] { return axes }
    return graph.nodes[slot.node].input(slot.slot).flatMap { valueAxes[$0] }
  }

  /// States that two uses of one initializer are cut alike.
  public mutating func tie(_ first: NodeSlot, _ second: NodeSlot) {
    guard let a = operandAxes[first], let b = operandAxes[second], a.count == b.count else { return }
    for (x, y) in zip(a, b) { table.unify(x, y, node: first.node) }
  }

  private mutating func makeAxes(_ id: ValueID, in graph: Graph) {
    guard valueAxes[id] == nil, let shape = graph[id].type?.shape else { return }
    valueAxes[id] = shape.map { table.makeAxis($0) }
  }

  private mutating func pinAll(_ id: ValueID, _ reason: PinReason) {
    for axis in valueAxes[id] ?? [] { table.pin(axis, Pin(reason, node: nil)) }
  }

  /// Pins the axes whose extents flowed into numbers.
  private mutating func pinOrigins(_ elements: [SymbolicElement], _ pin: Pin) {
    for origin in elements.flatMap(\.origins) {
      guard let axes = valueAxes[origin.value], axes.indices.contains(origin.axis) else { continue }
      table.pin(axes[origin.axis], pin)
    }
  }

  private mutating func relate(_ node: Node, _ index: Int, in graph: Graph, _ inference: ShapeInference) {
    let op = OperatorRegistry.find(node.op)
    var inputs: [[Axis]?] = []
    var elements: [Int: [SymbolicElement]] = [:]
    let context = InferenceContext(node: node, graph: graph, integers: inference.integers)
    for (slot, input) in node.inputs.enumerated() {
      guard let input else {
        inputs.append(nil)
        continue
      }
      if let weight = graph[input].initializer {
        let axes = weight.shape.extents.map { table.makeAxis(Size($0)) }
        operandAxes[NodeSlot(node: index, slot: slot)] = axes
        inputs.append(axes)
      } else {
        inputs.append(valueAxes[input])
      }
      elements[slot] = context.elements(slot)
      if let found = inference.integers[input], !op.shapeOperands.contains(slot), !followsElements(node, inference) {
        pinOrigins(found, Pin(.sizeAsValue, node: index))
      }
    }
    let outputs = node.outputs.map { $0.flatMap { valueAxes[$0] } }
    var rule = AxisContext(
      node: node, index: index, inputAxes: inputs, outputAxes: outputs, elements: elements, table: table)
    for slot in node.inputs.indices { rule.weights[slot] = node.input(slot).flatMap { graph[$0].initializer } }
    table = FactorTable()
    op.relate(&rule)
    // Taken, not copied: the rule lives on, and a shared table would be copied by the next pin.
    table = rule.takeTable()
    contractions += rule.contractions
    pinOrigins(rule.reliedOn, Pin(.sizeAsValue, node: index))
    if leavesConstant(inputs, of: node, op, rule.claimed, in: graph) {
      // The constant stays whole, so it would no longer fit what is cut beside it.
      for axes in inputs + outputs {
        for axis in axes ?? [] { table.pin(axis, Pin(.undescribed, node: index)) }
      }
      return
    }
    for (slot, axes) in inputs.enumerated() where !op.shapeOperands.contains(slot) {
      pinUnclaimed(axes, rule.claimed, index) { .input(slot, $0) }
    }
    for (slot, axes) in outputs.enumerated() { pinUnclaimed(axes, rule.claimed, index) { .output(slot, $0) } }
  }

  /// Whether a rule says nothing about an axis of a constant that has more than one position.
  private func leavesConstant(
    _ inputs: [[Axis]?], of node: Node, _ op: any Operator, _ claimed: Set<AxisPlace>, in graph: Graph
  ) -> Bool {
    inputs.indices.contains { slot in
      guard !op.shapeOperands.contains(slot), let weight = node.input(slot).flatMap({ graph[$0].initializer }) else {
        return false
      }
      return weight.shape.extents.enumerated().contains { $1 > 1 && !claimed.contains(.input(slot, $0)) }
    }
  }

  /// Whether a node only passes shape numbers on, so that they do not leave the world of shapes here.
  private func followsElements(_ node: Node, _ inference: ShapeInference) -> Bool {
    node.outputs.allSatisfy { $0.map { inference.integers[$0] != nil } ?? true }
  }

  private mutating func pinUnclaimed(
    _ axes: [Axis]?, _ claimed: Set<AxisPlace>, _ index: Int, _ place: (Int) -> AxisPlace
  ) {
    for (axis, factors) in (axes ?? []).enumerated() where !claimed.contains(place(axis)) {
      table.pin(factors, Pin(.undescribed, node: index))
    }
  }
}
