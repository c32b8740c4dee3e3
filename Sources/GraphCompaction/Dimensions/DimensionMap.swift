import ModelGraph
import PollardBase
import TensorStorage

/// Everything in a graph that can shrink: its dimensions, the units of each layer, and what cannot shrink and why.
///
/// Found from the axis rules of the operators alone; no architecture and no name is needed, except to number the layers.
public struct DimensionMap: Sendable {
  /// The graph, with types inferred.
  public let graph: Graph
  /// Every dimension, in the order in which the model sums over them.
  public private(set) var dimensions: [Dimension] = []
  /// Axes of weights that are summed over but must stay, with the reasons.
  public private(set) var pinned: [PinnedAxis] = []
  /// The units of each layer, from layer 0 on.
  public private(set) var layers: [LayerUnits] = []
  /// Dimensions of heads or neurons that belong to no single layer, and stay as they are: classifier layers, tables shared by layers.
  public private(set) var unassigned: [Dimension] = []
  let relations: AxisRelations
  /// The nodes at which a factor's class occurs.
  let nodesCarrying: [FactorID: Set<Int>]

  /// Finds the dimensions of a graph.
  ///
  /// - Throws: whatever shape inference finds wrong.
  /// - Complexity: about linear in the number of nodes; no weight is read.
  public init(_ graph: Graph) throws(GraphError) {
    var graph = graph
    let inference = try ShapeInference.inferAll(&graph)
    self.graph = graph
    relations = AxisRelations(graph, inference: inference)
    let table = relations.table

    var uses: [FactorID: [WeightUse]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for slot in node.inputs.indices {
        let place = NodeSlot(node: index, slot: slot)
        for (axis, factors) in (relations.operandAxes[place] ?? []).enumerated() {
          for leaf in Set(factors.flatMap(table.leaves)) {
            uses[leaf, default: []].append(WeightUse(slot: place, axis: axis))
          }
        }
      }
    }
    var contractions: [FactorID: [Contraction]] = [:]
    var order: [FactorID] = []
    for contraction in relations.contractions {
      var seen: Set<FactorID> = []
      for leaf in contraction.axis.flatMap(table.leaves) where seen.insert(leaf).inserted {
        if contractions[leaf] == nil { order.append(leaf) }
        contractions[leaf, default: []].append(contraction)
      }
    }
    let pins = table.leafPins()
    nodesCarrying = Self.nodes(of: graph, relations, carrying: Set(order.filter { pins[$0] == nil }))
    for leaf in order {
      guard let found = uses[leaf], let sums = contractions[leaf], let size = table.size(leaf).constant, size > 1 else {
        continue
      }
      let layers = Set(found.compactMap { graph.nodes[$0.slot.node].layer }).sorted()
      if let reasons = pins[leaf] {
        pinned.append(Self.pinned(reasons, size: size, layers: layers, useCount: found.count, graph))
      } else {
        dimensions.append(
          Dimension(
            id: dimensions.count, kind: Self.kind(of: leaf, sums, relations, graph), layers: layers, size: size,
            factor: leaf, uses: found, contractions: sums))
      }
    }
    assignLayers()
  }

  /// The axes of an operand or a result.
  func axes(_ id: ValueID) -> [Axis]? { relations.valueAxes[id] }

  /// The constant operand of a contraction: the weights that read a dimension's units. Nil when both operands are computed.
  func consumer(_ contraction: Contraction) -> WeightUse? {
    for case .input(let slot, let axis) in [contraction.right, contraction.left] {
      let place = NodeSlot(node: contraction.node, slot: slot)
      if relations.operandAxes[place] != nil { return WeightUse(slot: place, axis: axis) }
    }
    return nil
  }

  /// The computed operand of a contraction with a constant: the units' activations and the axis that carries them.
  func activation(_ contraction: Contraction) -> (value: ValueID, axis: Int)? {
    guard let consumer = consumer(contraction) else { return nil }
    for case .input(let slot, let axis) in [contraction.left, contraction.right] where slot != consumer.slot.slot {
      if let value = graph.nodes[contraction.node].input(slot) { return (value, axis) }
    }
    return nil
  }

  private static func pinned(
    _ pins: [Pin], size: Int, layers: [Int], useCount: Int, _ graph: Graph
  ) -> PinnedAxis {
    var reasons: [(reason: PinReason, node: String?)] = []
    for pin in pins where !reasons.contains(where: { $0.reason == pin.reason }) {
      reasons.append((pin.reason, pin.node.map { graph.nodes[$0].name }))
    }
    return PinnedAxis(size: size, layers: layers, reasons: reasons, useCount: useCount)
  }

  private static func nodes(
    of graph: Graph, _ relations: AxisRelations, carrying leaves: Set<FactorID>
  ) -> [FactorID: Set<Int>] {
    var result: [FactorID: Set<Int>] = [:]
    for (index, node) in graph.nodes.enumerated() {
      var axes: [Axis] = []
      for slot in node.inputs.indices { axes += relations.axes(of: NodeSlot(node: index, slot: slot), in: graph) ?? [] }
      for case let output? in node.outputs { axes += relations.valueAxes[output] ?? [] }
      for leaf in axes.joined().flatMap(relations.table.leaves) where leaves.contains(leaf) {
        result[leaf, default: []].insert(index)
      }
    }
    return result
  }

  private static func kind(
    of leaf: FactorID, _ contractions: [Contraction], _ relations: AxisRelations, _ graph: Graph
  ) -> DimensionKind {
    var roles: [DimensionKind] = []
    for contraction in contractions {
      let isConstant = [contraction.left, contraction.right].contains {
        guard case .input(let slot, _) = $0 else { return false }
        return relations.operandAxes[NodeSlot(node: contraction.node, slot: slot)] != nil
      }
      if !isConstant { return .scoreSize }
      roles.append(role(of: leaf, in: contraction.axis, relations.table))
    }
    guard let role = roles.first, roles.allSatisfy({ $0 == role }) else { return .valueSize }
    if role == .heads, isQueriesOfOneGroup(leaf, relations, graph) { return .queries }
    return role == .neurons && isMixedByWeights(leaf, relations, graph) ? .valueSize : role
  }

  private static func role(of leaf: FactorID, in axis: Axis, _ table: FactorTable) -> DimensionKind {
    let factors = table.flattened(axis)
    if factors.count == 1, let only = factors.first, case .sum(let parts) = table.parts(only) {
      for part in parts where table.leaves(part).contains(leaf) { return role(of: leaf, in: [part], table) }
    }
    guard let place = factors.firstIndex(of: leaf) else { return .valueSize }
    if factors.count == 1 { return .neurons }
    if place == factors.count - 1 { return .valueSize }
    if factors.count == 2 { return .heads }
    return factors.count == 3 ? (place == 0 ? .groups : .queries) : .valueSize
  }

  /// Whether the factor passes through a product of two computed operands, as the values of a single head do.
  private static func isMixedByWeights(_ leaf: FactorID, _ relations: AxisRelations, _ graph: Graph) -> Bool {
    relations.contractions.contains { contraction in
      guard case .input(let left, _) = contraction.left, case .input(let right, _) = contraction.right,
        relations.operandAxes[NodeSlot(node: contraction.node, slot: left)] == nil,
        relations.operandAxes[NodeSlot(node: contraction.node, slot: right)] == nil
      else { return false }
      return graph.nodes[contraction.node].outputs.contains { output in
        (output.flatMap { relations.valueAxes[$0] } ?? []).joined().contains {
          relations.table.leaves($0).contains(leaf)
        }
      }
    }
  }

  /// Whether scores are formed of queries that carry the factor and keys that do not.
  private static func isQueriesOfOneGroup(_ leaf: FactorID, _ relations: AxisRelations, _ graph: Graph) -> Bool {
    func carries(_ slot: NodeSlot) -> Bool {
      (relations.axes(of: slot, in: graph) ?? []).joined().contains { relations.table.leaves($0).contains(leaf) }
    }
    return relations.contractions.contains { contraction in
      guard case .input(let left, _) = contraction.left, case .input(let right, _) = contraction.right else {
        return false
      }
      let queries = NodeSlot(node: contraction.node, slot: left)
      let keys = NodeSlot(node: contraction.node, slot: right)
      guard relations.operandAxes[queries] == nil, relations.operandAxes[keys] == nil else { return false }
      return carries(queries) && !carries(keys)
    }
  }

  /// Sorts heads and neurons into layers.
  private mutating func assignLayers() {
    var attention: [Int: [HeadUnits]] = [:]
    var feedForward: [Int: [Dimension]] = [:]
    let units = headUnits()
    let neurons = dimensions.filter { $0.kind == .neurons }
    // A model whose layers are numbered keeps their numbers where no layer has units that can go.
    let layersAreNamed = graph.nodes.contains { $0.layer != nil }
    let headsAreNamed = layersAreNamed || units.contains { $0.layers.count == 1 }
    let neuronsAreNamed = layersAreNamed || neurons.contains { $0.layers.count == 1 }
    for (ordinal, unit) in units.enumerated() {
      if let layer = headsAreNamed ? unit.only : ordinal { attention[layer, default: []].append(unit.units) }
    }
    for (ordinal, dimension) in neurons.enumerated() {
      if let layer = neuronsAreNamed ? (dimension.layers.count == 1 ? dimension.layers[0] : nil) : ordinal {
        feedForward[layer, default: []].append(dimension)
      }
    }
    var count = (Array(attention.keys) + feedForward.keys).max().map { $0 + 1 } ?? 0
    if headsAreNamed || neuronsAreNamed {
      count = max(count, graph.nodes.compactMap(\.layer).max().map { $0 + 1 } ?? 0)
    }
    // A number in a name is no reason to make a list of that length.
    count = min(count, graph.nodes.count)
    for index in 0..<count {
      layers.append(
        LayerUnits(
          index: index, heads: attention[index]?.count == 1 ? attention[index]?[0] : nil,
          neurons: feedForward[index]?.count == 1 ? feedForward[index]?[0] : nil))
    }
    let assigned = Set(layers.flatMap(\.dimensions).map(\.id))
    unassigned = dimensions.filter {
      !assigned.contains($0.id) && [.heads, .groups, .queries, .neurons].contains($0.kind)
    }
  }

  /// The heads of each attention: the dimensions before the last factor of a summed axis.
  private func headUnits() -> [(units: HeadUnits, layers: [Int], only: Int?)] {
    var found: [(units: HeadUnits, layers: [Int], only: Int?)] = []
    var seen: Set<Int> = []
    let byFactor = Dictionary(dimensions.map { ($0.factor, $0) }, uniquingKeysWith: { first, _ in first })
    for dimension in dimensions where [.heads, .groups, .queries].contains(dimension.kind) {
      guard let contraction = dimension.contractions.first else { continue }
      let outer = relations.table.flattened(contraction.axis).dropLast().map { byFactor[$0] }
      let members = outer.compactMap { $0 }
      guard members.count == outer.count, members.contains(where: { $0.id == dimension.id }),
        seen.isDisjoint(with: members.map(\.id))
      else { continue }
      seen.formUnion(members.map(\.id))
      let groups = members.first { $0.kind == .heads || $0.kind == .groups }
      let queries = members.first { $0.kind == .queries }
      guard [groups, queries].compactMap({ $0 }).count == members.count else { continue }
      var different = true
      if let groups, let queries { different = allowsDifferent(queries, groups) }
      let layers = Set(members.flatMap(\.layers)).sorted()
      let units = HeadUnits(groups: groups, queries: queries, allowsDifferentQueries: different)
      found.append((units, layers, layers.count == 1 ? layers[0] : nil))
    }
    return found
  }

  /// Whether queries of different groups are never compared: every value that carries queries carries groups, and so do weights, outside.
  private func allowsDifferent(_ queries: Dimension, _ groups: Dimension) -> Bool {
    func carries(_ axes: [Axis], _ leaf: FactorID) -> Bool {
      axes.joined().contains { relations.table.leaves($0).contains(leaf) }
    }
    for node in nodesCarrying[queries.factor] ?? [] {
      for value in graph.nodes[node].inputs + graph.nodes[node].outputs {
        guard let value, let axes = relations.valueAxes[value] else { continue }
        if carries(axes, queries.factor), !carries(axes, groups.factor) { return false }
      }
    }
    return queries.uses.allSatisfy { use in
      guard let axes = relations.operandAxes[use.slot] else { return false }
      return relations.table.occurs(groups.factor, before: queries.factor, in: axes[use.axis])
    }
  }
}
