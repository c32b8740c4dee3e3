import ModelGraph
import PollardBase
import TensorStorage

/// What happens to the weights that read units which stay: some are replaced by zero, some are multiplied.
struct ConsumerChange: Sendable, Hashable {
  /// The summed axis of the weights.
  var axis: Int
  /// Positions, counted before the cut, whose weights become +0; ascending.
  var zeroed: [Int] = []
  /// Factors by position, counted before the cut.
  var factors: [Int: Float] = [:]
}

/// Writes the graph that remains when only some indices of factors are kept.
///
/// Values keep their numbers. Weights are cut lazily; nodes whose operands shrank adapt their shape operands and attributes; then shape
/// inference over the new graph must find exactly the extents that the factors predict.
struct GraphRewriter {
  let map: DimensionMap
  let positions: AxisPositions
  let changes: [NodeSlot: [ConsumerChange]]
  private var graph: Graph
  private var nodes: [Node]
  private var names: Set<String>

  init(_ map: DimensionMap, keep: KeepTable, changes: [NodeSlot: [ConsumerChange]] = [:]) {
    self.map = map
    self.changes = changes
    positions = AxisPositions(table: map.relations.table, keep: keep)
    graph = map.graph
    nodes = map.graph.nodes
    names = Set(graph.values.map(\.name))
  }

  /// The new graph.
  ///
  /// - Throws: `notExpressible` when an operator or a packed weight cannot take the cut; `inconsistent` when the result is not as planned.
  mutating func rewritten() throws(CompactionError) -> Graph {
    try cutWeights()
    if !positions.keep.isEmpty { try adaptNodes() }
    graph.replaceNodes(nodes)
    dropUnusedInitializers()
    return graph
  }

  // MARK: Weights

  /// What one use wants of its tensor; uses that want the same share one.
  private struct Cut: Hashable {
    var kept: [[Int]?]
    var changes: [ConsumerChange]

    var isNothing: Bool { kept.allSatisfy { $0 == nil } && changes.isEmpty }
  }

  private mutating func cutWeights() throws(CompactionError) {
    var cuts: [ValueID: [(cut: Cut, slots: [NodeSlot])]] = [:]
    var order: [ValueID] = []
    for (index, node) in nodes.enumerated() {
      for (slot, input) in node.inputs.enumerated() {
        let place = NodeSlot(node: index, slot: slot)
        guard let input, let axes = map.relations.operandAxes[place] else { continue }
        let cut = Cut(kept: axes.map(positions.positions), changes: changes[place] ?? [])
        if cuts[input] == nil { order.append(input) }
        if let known = cuts[input]?.firstIndex(where: { $0.cut == cut }) {
          cuts[input]?[known].slots.append(place)
        } else {
          cuts[input, default: []].append((cut, [place]))
        }
      }
    }
    for id in order {
      guard let groups = cuts[id], let weight = map.graph[id].initializer else { continue }
      // The name stays with the uncut tensor where some use needs it, else with the first use.
      let named = groups.firstIndex { $0.cut.isNothing } ?? 0
      for (index, group) in groups.enumerated() where !group.cut.isNothing {
        let result = try apply(group.cut, to: weight, name: map.graph[id].name)
        let type = ValueType(map.graph[id].type?.element ?? result.type, result.shape.extents.map { Size($0) })
        if index == named {
          graph[id].initializer = result
          graph[id].type = type
        } else {
          let copy = graph.addValue(Value(name: unusedName(map.graph[id].name), type: type, initializer: result))
          for place in group.slots { nodes[place.node].inputs[place.slot] = copy }
        }
      }
    }
  }

  private func apply(_ cut: Cut, to weight: Weight, name: String) throws(CompactionError) -> Weight {
    if weight.type.byteCount == nil {
      let rowBits = weight.shape.extents.dropFirst().reduce(weight.type.bitCount, *)
      let onlyRows = cut.kept.dropFirst().allSatisfy { $0 == nil } && rowBits % 8 == 0
      guard onlyRows, cut.changes.isEmpty else {
        throw CompactionError(
          .notExpressible, subject: .tensor(name), expected: "whole rows",
          found: "a cut through packed \(weight.type) elements")
      }
    }
    var result = weight
    for change in cut.changes {
      result = result.zeroing(change.zeroed, axis: change.axis)
      if change.factors.isEmpty { continue }
      let stored = weight.storedType
      guard stored.isFloatingPoint, stored.byteCount != nil, stored != .f8e8m0 else {
        throw CompactionError(
          .notExpressible, subject: .tensor(name), expected: "a floating-point type",
          found: "a factor on \(stored) elements")
      }
      var extents = Array(repeating: 1, count: weight.shape.rank)
      extents[change.axis] = weight.shape[change.axis]
      let factors = (0..<weight.shape[change.axis]).map { change.factors[$0] ?? 1 }
      result = result.cast(to: stored).multiplied(by: .floats(factors, shape: Shape(extents))).cast(to: weight.type)
    }
    for (axis, kept) in cut.kept.enumerated() {
      if let kept { result = result.keeping(kept, axis: axis) }
    }
    return result
  }

  private mutating func unusedName(_ base: String) -> String {
    var number = 1
    while !names.insert("\(base).cut\(number)").inserted { number += 1 }
    return "\(base).cut\(number)"
  }

  // MARK: Nodes

  private mutating func adaptNodes() throws(CompactionError) {
    var inference = ShapeInference()
    for index in nodes.indices {
      if isTouched(index) { try adapt(index, inference) }
      do { try inference.infer(nodes[index], in: &graph) } catch {
        throw CompactionError(.inconsistent, subject: .node(nodes[index].name), found: "\(error)")
      }
      for case let output? in nodes[index].outputs { try check(output, index) }
    }
  }

  private func isTouched(_ index: Int) -> Bool {
    let node = map.graph.nodes[index]
    for slot in node.inputs.indices {
      let axes = map.relations.axes(of: NodeSlot(node: index, slot: slot), in: map.graph) ?? []
      if axes.contains(where: positions.touches) { return true }
    }
    return node.outputs.contains { $0.map { (map.axes($0) ?? []).contains(where: positions.touches) } ?? false }
  }

  private mutating func adapt(_ index: Int, _ inference: ShapeInference) throws(CompactionError) {
    let node = nodes[index]
    let old = map.graph.nodes[index]
    let slotAxes = node.inputs.indices.map { map.relations.axes(of: NodeSlot(node: index, slot: $0), in: map.graph) }
    let positions = positions
    var context = AdaptationContext(
      node: node,
      oldInputs: old.inputs.map { $0.flatMap { map.graph[$0].type?.shape } },
      newInputs: slotAxes.map(newShape),
      oldOutputs: old.outputs.map { $0.flatMap { map.graph[$0].type?.shape } },
      newOutputs: old.outputs.map { $0.flatMap { newShape(map.axes($0)) } },
      elements: inference.elements(of: node, in: graph),
      keptPositions: { slot, axis in
        guard slotAxes.indices.contains(slot), let axes = slotAxes[slot], axes.indices.contains(axis) else {
          return nil
        }
        return positions.positions(axes[axis])
      })
    try OperatorRegistry.find(node.op).adapt(&context)
    nodes[index] = context.node
    for (slot, values) in context.replacements.sorted(by: { $0.key < $1.key }) {
      let weight = Weight.integers(values.map(Int64.init), shape: [values.count])
      let type = ValueType(.i64, [Size(values.count)])
      let base = old.input(slot).map { map.graph[$0].name } ?? node.name
      let id = graph.addValue(Value(name: unusedName(base), type: type, initializer: weight))
      while nodes[index].inputs.count <= slot { nodes[index].inputs.append(nil) }
      nodes[index].inputs[slot] = id
    }
  }

  private func newShape(_ axes: [Axis]?) -> [Size]? {
    guard let axes else { return nil }
    var shape: [Size] = []
    for axis in axes {
      guard let size = positions.size(axis) else { return nil }
      shape.append(size)
    }
    return shape
  }

  private func check(_ id: ValueID, _ node: Int) throws(CompactionError) {
    guard let axes = map.axes(id) else { return }
    let expected = newShape(axes)
    let found = graph[id].type?.shape
    guard let expected, let found, expected == found else {
      throw CompactionError(
        .inconsistent, subject: .node(nodes[node].name), expected: expected.map { "\($0)" } ?? "a shape",
        found: found.map { "\($0)" } ?? "none")
    }
  }

  /// Constants that only the old shapes needed are not part of the new graph.
  private mutating func dropUnusedInitializers() {
    var used = Set(nodes.flatMap(\.inputs).compactMap { $0 })
    used.formUnion(graph.outputs)
    used.formUnion(graph.taps.map(\.value))
    let before = Set(map.graph.nodes.flatMap(\.inputs).compactMap { $0 })
    for id in graph.initializers where !used.contains(id) && before.contains(id) {
      graph[id].initializer = nil
      graph[id].type = nil
    }
  }
}
