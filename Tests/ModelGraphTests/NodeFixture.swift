import ModelGraph
import PollardBase
import TensorStorage

/// A graph of one node, as a file of some operator-set version holds it.
struct NodeFixture {
  /// An operand: computed, with a shape, or constant.
  enum Operand {
    case shape([Size])
    case typed(ElementType, [Size])
    case weight(Weight)
    case absent
  }

  var graph = Graph(name: "node")
  var inputs: [ValueID?] = []
  var outputs: [ValueID] = []

  init(
    _ op: String, domain: String = "", version: Int = Node.currentVersion, _ operands: [Operand],
    _ attributes: [String: Attribute] = [:], outputs count: Int = 1
  ) {
    for (index, operand) in operands.enumerated() {
      switch operand {
      case .shape(let shape):
        inputs.append(graph.addValue(Value(name: "x\(index)", type: ValueType(.f32, shape))))
      case .typed(let element, let shape):
        inputs.append(graph.addValue(Value(name: "x\(index)", type: ValueType(element, shape))))
      case .weight(let weight):
        let type = ValueType(weight.type, weight.shape.extents.map { Size($0) })
        inputs.append(graph.addValue(Value(name: "x\(index)", type: type, initializer: weight)))
      case .absent: inputs.append(nil)
      }
      if case .weight = operand { continue }
      if let id = inputs[index] { graph.addInput(id) }
    }
    for index in 0..<count { outputs.append(graph.addValue(Value(name: "y\(index)"))) }
    graph.append(
      Node(
        OperatorName(op, domain: domain), name: "node", inputs: inputs, outputs: outputs, attributes: attributes,
        version: version))
  }

  /// The shapes of the results.
  func shapes() throws -> [[Size]?] {
    var copy = graph
    _ = try ShapeInference.inferAll(&copy)
    return outputs.map { copy[$0].type?.shape }
  }

  /// The axes of operands and results.
  func relations() throws -> NodeRelations {
    var copy = graph
    let inference = try ShapeInference.inferAll(&copy)
    return NodeRelations(relations: AxisRelations(copy, inference: inference), graph: copy)
  }

  /// The states of the results, and the terms of the sums.
  func states() throws -> (states: [TokenState?], sums: [ContractionTerms]) {
    var copy = graph
    _ = try ShapeInference.inferAll(&copy)
    let analysis = try ZeroAnalysis(copy, keeping: Set(outputs), pool: ThreadPool(threadCount: 1))
    return (outputs.map { analysis.states[$0] }, analysis.contractions)
  }
}

/// How the axes of one node relate.
struct NodeRelations {
  let relations: AxisRelations
  let graph: Graph

  func input(_ slot: Int, _ axis: Int) -> Axis {
    relations.axes(of: NodeSlot(node: 0, slot: slot), in: graph)?[axis] ?? []
  }

  func output(_ slot: Int, _ axis: Int) -> Axis {
    graph.nodes[0].outputs[slot].flatMap { relations.valueAxes[$0]?[axis] } ?? []
  }

  func same(_ a: Axis, _ b: Axis) -> Bool { relations.table.flattened(a) == relations.table.flattened(b) }

  /// The extents of the factors of an axis.
  func sizes(_ axis: Axis) -> [Size] { relations.table.flattened(axis).map(relations.table.size) }

  /// The reasons for which some part of an axis is pinned, besides the graph's own interface.
  func pins(_ axis: Axis) -> Set<PinReason> {
    let all = relations.table.leafPins()
    return Set(axis.flatMap(relations.table.leaves).flatMap { all[$0] ?? [] }.map(\.reason).filter { !$0.isSoft })
  }
}
