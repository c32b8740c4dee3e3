import ModelGraph
import PollardBase
import TensorStorage

/// What happens to the weights that read or make units which stay: some are replaced by zero, some are multiplied.
struct WeightChange: Sendable, Hashable {
  /// The axis of the weights that carries the units.
  var axis: Int
  /// Positions, counted before the cut, whose weights become +0; ascending.
  var zeroed: [Int] = []
  /// Factors by position, counted before the cut.
  var factors: [Int: Float] = [:]
}

/// Writes the graph that remains when only some indices of factors are kept.
///
/// Values keep their numbers. Weights are cut lazily; nodes whose operands shrank adapt their shape operands and attributes; then shape
/// inference over the new graph must find exactly the extents that the factors predict. Nodes that no axis of a cut touches are not looked
/// at, whether they are understood or not.
struct GraphRewriter {
  let map: DimensionMap
  let positions: AxisPositions
  let changes: [NodeSlot: [WeightChange]]
  /// Constants that take the place of operands, of the same type and shape.
  var replacements: [NodeSlot: Weight] = [:]
  /// Whether nodes that nothing needs any more stay, so that the nodes of both graphs have the same numbers.
  var keepsEveryNode = false
  var graph: Graph
  var nodes: [Node]
  private var names: Set<String>
  /// Nodes that compute new shape operands, by the node before which they stand.
  private var insertions: [Int: [Node]] = [:]
  private var sharedConstants: [SharedConstant: ValueID] = [:]
  private var sharedOperands: [MixedOperand: ValueID] = [:]
  /// Sizes that inference names after their operands, where these shrank: the new size by the old name.
  private var renamed: [String: Size] = [:]

  /// Numbers in the place of an operand; uses of one operand that get the same numbers share them.
  private struct SharedConstant: Hashable {
    var operand: ValueID?
    var values: [Int]
  }

  /// A shape operand made of elements of another one, within a branch.
  private struct MixedOperand: Hashable {
    var operand: ValueID
    var elements: [OperandElement]
    var region: Int?
  }

  init(_ map: DimensionMap, keep: KeepTable, changes: [NodeSlot: [WeightChange]] = [:]) {
    self.map = map
    self.changes = changes
    positions = AxisPositions(table: map.relations.table, keep: map.withTables(keep))
    graph = map.graph
    nodes = map.graph.nodes
    names = Set(graph.values.map(\.name))
  }

  /// The new graph.
  ///
  /// - Throws: `notExpressible` when an operator or a packed weight cannot take the cut; `inconsistent` when the result is not as planned.
  mutating func rewritten() throws(CompactionError) -> Graph {
    try cutWeights()
    rewriteTies()
    if !positions.keep.isEmpty { try adaptNodes() }
    if keepsEveryNode, insertions.isEmpty {
      graph.replaceNodes(nodes)
    } else {
      let all = nodes.indices.flatMap { index in
        (insertions[index] ?? []).map { (node: $0, origin: Int?.none) } + [(nodes[index], index)]
      }
      graph.replaceNodes(keepsEveryNode ? all.map(\.node) : withoutDeadNodes(all))
    }
    dropUnusedInitializers()
    return graph
  }

  // MARK: Weights

  /// What one use wants of its tensor; uses that want the same share one.
  private struct Cut: Hashable {
    var kept: [[Int]?]
    var changes: [WeightChange]
    var replacement: Weight?

    var isNothing: Bool { kept.allSatisfy { $0 == nil } && changes.isEmpty && replacement == nil }
  }

  private mutating func cutWeights() throws(CompactionError) {
    var cuts: [ValueID: [(cut: Cut, slots: [NodeSlot])]] = [:]
    var order: [ValueID] = []
    for (index, node) in nodes.enumerated() {
      for (slot, input) in node.inputs.enumerated() {
        let place = NodeSlot(node: index, slot: slot)
        guard let input, let axes = map.relations.operandAxes[place] else { continue }
        let cut = Cut(
          kept: axes.map(positions.positions), changes: changes[place] ?? [], replacement: replacements[place])
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
        let result = try apply(group.cut, to: group.cut.replacement ?? weight, name: map.graph[id].name)
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
    if !cut.changes.isEmpty, !weight.type.isFloatingPoint {
      throw CompactionError(
        .notExpressible, subject: .tensor(name), expected: "a floating-point type",
        found: "a mask on \(weight.type) elements, whose zero is not a zero of the model",
        remedy: "mask the model before it is quantised")
    }
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

  mutating func unusedName(_ base: String) -> String {
    var number = 1
    while !names.insert("\(base).cut\(number)").inserted { number += 1 }
    return "\(base).cut\(number)"
  }

  // MARK: Nodes

  private mutating func adaptNodes() throws(CompactionError) {
    for id in graph.inputs where (map.axes(id) ?? []).contains(where: positions.touches) {
      if let shape = newShape(map.axes(id)) { graph[id].type?.shape = shape }
    }
    var inference = ShapeInference()
    for index in nodes.indices {
      let touched = isTouched(index)
      if touched {
        try adapt(index, inference)
        // What an operator's rule says nothing of must not be taken for what it was.
        for case let output? in nodes[index].outputs { graph[output].type?.shape = nil }
      }
      for node in insertions[index] ?? [] { try infer(node, &inference) }
      try infer(nodes[index], &inference)
      for case let output? in nodes[index].outputs { try check(output, index) }
    }
  }

  private mutating func infer(_ node: Node, _ inference: inout ShapeInference) throws(CompactionError) {
    do { try inference.infer(node, in: &graph) } catch {
      throw CompactionError(.inconsistent, subject: .node(node.name), found: "\(error)")
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
      let base = old.input(slot).map { map.graph[$0].name } ?? node.name
      replace(slot, of: index, by: constant(values, base, for: old.input(slot)))
    }
    for (slot, elements) in context.mixedReplacements.sorted(by: { $0.key < $1.key }) {
      guard let operand = node.input(slot) else { continue }
      replace(
        slot, of: index, by: mixed(MixedOperand(operand: operand, elements: elements, region: node.region), index))
    }
  }

  private mutating func replace(_ slot: Int, of index: Int, by id: ValueID) {
    while nodes[index].inputs.count <= slot { nodes[index].inputs.append(nil) }
    nodes[index].inputs[slot] = id
  }

  /// A list of integers in the place of an operand, or for a node that is put in.
  mutating func constant(_ values: [Int], _ base: String, for operand: ValueID? = nil) -> ValueID {
    let key = SharedConstant(operand: operand, values: values)
    if let known = sharedConstants[key] { return known }
    let weight = Weight.integers(values.map(Int64.init), shape: [values.count])
    let type = ValueType(.i64, [Size(values.count)])
    let id = graph.addValue(Value(name: unusedName(base), type: type, initializer: weight))
    sharedConstants[key] = id
    return id
  }

  /// A shape operand that takes some elements from another: slices of it and numbers, joined.
  private mutating func mixed(_ wanted: MixedOperand, _ index: Int) -> ValueID {
    if let known = sharedOperands[wanted] { return known }
    let base = graph[wanted.operand].name
    var parts: [ValueID] = []
    var place = 0
    while place < wanted.elements.count {
      switch wanted.elements[place] {
      case .number:
        var numbers: [Int] = []
        while place < wanted.elements.count, case .number(let value) = wanted.elements[place] {
          numbers.append(value)
          place += 1
        }
        parts.append(constant(numbers, base))
      case .original(let first):
        var count = 0
        while place < wanted.elements.count, wanted.elements[place] == .original(first + count) {
          count += 1
          place += 1
        }
        parts.append(slice(wanted.operand, first..<first + count, index, base))
      }
    }
    let result = parts.count == 1 ? parts[0] : insert("Concat", parts.map { $0 }, ["axis": .integer(0)], index, base)
    sharedOperands[wanted] = result
    return result
  }

  private mutating func slice(_ operand: ValueID, _ range: Range<Int>, _ index: Int, _ base: String) -> ValueID {
    if operatorSetVersion < 10 {
      return insert(
        "Slice", [operand],
        ["starts": .integers([range.lowerBound]), "ends": .integers([range.upperBound]), "axes": .integers([0])], index,
        base)
    }
    let bounds = [constant([range.lowerBound], base), constant([range.upperBound], base), constant([0], base)]
    return insert("Slice", [operand] + bounds, [:], index, base)
  }

  /// Puts a node before another and gives its result.
  mutating func insert(
    _ op: String, _ inputs: [ValueID], _ attributes: [String: Attribute], _ index: Int, _ base: String
  ) -> ValueID {
    let id = graph.addValue(Value(name: unusedName(base)))
    insertions[index, default: []].append(
      Node(
        OperatorName(op), name: graph[id].name, inputs: inputs, outputs: [id], attributes: attributes,
        scope: nodes[index].scope, version: operatorSetVersion, region: nodes[index].region))
    return id
  }

  /// The version of ONNX's own operators that the graph is written in.
  private var operatorSetVersion: Int {
    map.graph.nodes.first { $0.op.domain.isEmpty }?.version ?? Node.currentVersion
  }

  private func newShape(_ axes: [Axis]?) -> [Size]? {
    guard let axes else { return nil }
    var shape: [Size] = []
    for axis in axes {
      guard let size = positions.size(axis)?.replacing(renamed) else { return nil }
      shape.append(size)
    }
    return shape
  }

  /// The second leg: inference over the new graph, which knows nothing of factors, finds the extents that the factors predict.
  private mutating func check(_ id: ValueID, _ node: Int) throws(CompactionError) {
    guard let axes = map.axes(id), let old = map.graph[id].type?.shape else { return }
    let found = graph[id].type?.shape
    guard let found, found.count == axes.count else {
      throw inconsistent(node, newShape(axes), found)
    }
    for (place, (axis, size)) in zip(axes, found).enumerated() {
      let expected = positions.size(axis)?.replacing(renamed)
      if expected == size { continue }
      // A size that only has the name of its computation has another name when the computation's operands shrank.
      guard !positions.touches(axis), let symbol = old[place].loneSymbol, symbol.contains("("), size.constant == nil,
        renamed[symbol] == nil
      else { throw inconsistent(node, newShape(axes), found) }
      renamed[symbol] = size
    }
  }

  private func inconsistent(_ node: Int, _ expected: [Size]?, _ found: [Size]?) -> CompactionError {
    CompactionError(
      .inconsistent, subject: .node(nodes[node].name), expected: expected.map { "\($0)" } ?? "a shape",
      found: found.map { "\($0)" } ?? "none")
  }

  /// The nodes without those that were needed before and are not any more.
  private func withoutDeadNodes(_ all: [(node: Node, origin: Int?)]) -> [Node] {
    let before = map.graph.neededNodes(map.graph.nodes)
    let now = graph.neededNodes(all.map(\.node))
    return all.enumerated().filter { place, entry in
      now[place] || entry.origin.map { !before[$0] } ?? false
    }.map(\.element.node)
  }

  /// Constants that only the old shapes needed are not part of the new graph.
  private mutating func dropUnusedInitializers() {
    var used = Set(graph.nodes.flatMap(\.inputs).compactMap { $0 })
    used.formUnion(graph.outputs)
    used.formUnion(graph.taps.map(\.value))
    used.formUnion(graph.regions.map(\.condition))
    let before = Set(map.graph.nodes.flatMap(\.inputs).compactMap { $0 })
    for id in graph.initializers where !used.contains(id) && before.contains(id) {
      graph[id].initializer = nil
      graph[id].type = nil
    }
  }
}

extension Graph {
  /// Which nodes of a list the outputs, the taps and the conditions of branches need.
  func neededNodes(_ nodes: [Node]) -> [Bool] {
    var needed = Set(outputs + taps.map(\.value) + regions.map(\.condition))
    var result = [Bool](repeating: false, count: nodes.count)
    for (index, node) in nodes.enumerated().reversed() {
      let isNeeded = node.outputs.contains { $0.map(needed.contains) ?? false }
      guard isNeeded else { continue }
      result[index] = true
      needed.formUnion(node.inputs.compactMap { $0 })
    }
    return result
  }
}
