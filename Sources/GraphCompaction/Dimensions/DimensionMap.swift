import ModelGraph
import PollardBase
import TensorStorage

/// Everything in a graph that can shrink: its dimensions, the units of each layer, and what cannot shrink and why.
///
/// Found from the axis rules of the operators alone; no architecture and no name is needed, except to number the layers.
public struct DimensionMap: Sendable {
  /// The graph, with types inferred.
  public let graph: Graph
  /// What may be removed beside the units of layers.
  public let options: DimensionOptions
  /// Every dimension, in the order in which the model sums over them.
  public private(set) var dimensions: [Dimension] = []
  /// Axes of weights that are summed over but must stay, with the reasons.
  public private(set) var pinned: [PinnedAxis] = []
  /// The units of each layer, from layer 0 on.
  public internal(set) var layers: [LayerUnits] = []
  /// Units that can be removed and belong to no layer of their own; empty unless the options offer them.
  public internal(set) var others: [OtherUnits] = []
  /// Dimensions of heads, neurons or channels that belong to no single layer and that the options do not offer; they stay as they are.
  public internal(set) var unassigned: [Dimension] = []
  let relations: AxisRelations
  /// The nodes at which a factor's class occurs.
  let nodesCarrying: [FactorID: Set<Int>]
  /// Values computed from constants alone, such as a weight that is dequantised by a node.
  let constants: Set<ValueID>
  /// The nodes that read a shared table through a list of heads, put there by the map.
  let ties: [TieReader]

  /// Finds the dimensions of a graph.
  ///
  /// - Parameter options: what may be removed beside the heads and neurons of layers.
  /// - Throws: whatever shape inference finds wrong.
  /// - Complexity: about linear in the number of nodes; no weight is read.
  public init(_ graph: Graph, options: DimensionOptions = .checkpoint) throws(GraphError) {
    var graph = graph
    let inference = try ShapeInference.inferAll(&graph)
    self.init(inferred: graph, inference, options, ties: [])
    guard options.loosensTies, let looser = try TieLoosening(self).loosened() else { return }
    self = looser
  }

  init(inferred graph: Graph, _ inference: ShapeInference, _ options: DimensionOptions, ties: [TieReader]) {
    self.graph = graph
    self.options = options
    self.ties = ties
    var relations = AxisRelations(graph, inference: inference)
    for (first, second) in graph.usesInOppositeBranches() { relations.tie(first, second) }
    self.relations = relations
    constants = graph.valuesOfConstants()
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
    let interface = InterfacePins(graph, relations, options)
    nodesCarrying = Self.nodes(of: graph, relations, carrying: Set(order.filter { interface.isFree($0, pins[$0]) }))
    let kinds = DimensionKinds(graph: graph, relations: relations, constants: constants)
    let labels = LayerLabels(graph, relations)
    for leaf in order {
      guard let found = uses[leaf], let sums = contractions[leaf], let size = table.size(leaf).constant, size > 1 else {
        continue
      }
      let kind = kinds.kind(of: leaf, uses: found, sums)
      if interface.isFree(leaf, pins[leaf]) {
        dimensions.append(
          Dimension(
            id: dimensions.count, kind: kind, labels: labels.labels(of: found), size: size,
            blockSize: kind == .neurons ? kinds.blockSize(of: leaf, sums) : 1, factor: leaf, uses: found,
            contractions: sums))
      } else {
        pinned.append(
          PinnedAxis(
            size: size, kind: kind, labels: labels.labels(of: found), name: graph.name(of: found),
            reasons: interface.reasons(leaf, pins[leaf] ?? []), useCount: found.count))
      }
    }
    assignLayers(labels)
  }

  /// The axes of an operand or a result.
  func axes(_ id: ValueID) -> [Axis]? { relations.valueAxes[id] }

  /// Whether an operand is a constant, or computed from constants alone.
  func isConstant(_ place: NodeSlot) -> Bool {
    relations.operandAxes[place] != nil
      || graph.nodes[place.node].input(place.slot).map(constants.contains) ?? false
  }

  /// The weights that read a dimension's units at a contraction: its constant operand. Nil when both operands are computed.
  ///
  /// Where nodes stand between the stored weights and the contraction, such as one that dequantises them, it is the stored ones.
  func consumer(_ contraction: Contraction) -> WeightUse? {
    for case .input(let slot, let axis) in [contraction.right, contraction.left] {
      let place = NodeSlot(node: contraction.node, slot: slot)
      if isConstant(place), let use = storedUse(place, axis) { return use }
    }
    return nil
  }

  /// Follows an axis of a constant operand up to the tensor it comes from.
  private func storedUse(_ place: NodeSlot, _ axis: Int) -> WeightUse? {
    var place = place
    var axis = axis
    for _ in graph.nodes.indices {
      if relations.operandAxes[place] != nil { return WeightUse(slot: place, axis: axis) }
      guard let value = graph.nodes[place.node].input(place.slot), let axes = axes(value), axes.indices.contains(axis),
        let producer = producers[value]
      else { return nil }
      let wanted = relations.table.flattened(axes[axis])
      guard
        let next = graph.nodes[producer].inputs.indices.lazy.compactMap({ slot -> (NodeSlot, Int)? in
          let operand = NodeSlot(node: producer, slot: slot)
          let axes = relations.axes(of: operand, in: graph) ?? []
          return axes.firstIndex { relations.table.flattened($0) == wanted }.map { (operand, $0) }
        }).first
      else { return nil }
      (place, axis) = next
    }
    return nil
  }

  /// The index of the node that provides each value.
  private var producers: [ValueID: Int] { graph.producers }

  /// The computed operand of a contraction with a constant: the units' activations and the axis that carries them.
  func activation(_ contraction: Contraction) -> (value: ValueID, axis: Int)? {
    for case .input(let slot, let axis) in [contraction.left, contraction.right] {
      let place = NodeSlot(node: contraction.node, slot: slot)
      let other = contraction.left == .input(slot, axis) ? contraction.right : contraction.left
      guard case .input(let otherSlot, _) = other, !isConstant(place),
        isConstant(NodeSlot(node: contraction.node, slot: otherSlot))
      else { continue }
      if let value = graph.nodes[contraction.node].input(slot) { return (value, axis) }
    }
    return nil
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
}

extension Graph {
  /// The results of nodes that have operands, all of them constants or such results themselves.
  func valuesOfConstants() -> Set<ValueID> {
    var result: Set<ValueID> = []
    for node in nodes where node.region == nil {
      let operands = node.inputs.compactMap { $0 }
      guard !operands.isEmpty, operands.allSatisfy({ self[$0].initializer != nil || result.contains($0) }) else {
        continue
      }
      result.formUnion(node.outputs.compactMap { $0 })
    }
    return result
  }

  /// The tensor and axis of the first matrix among uses, or of the first use.
  func name(of uses: [WeightUse]) -> String {
    func tensor(_ use: WeightUse) -> Value? { nodes[use.slot.node].input(use.slot.slot).map { self[$0] } }
    let use = uses.first { tensor($0)?.initializer.map { $0.shape.rank > 1 } ?? false } ?? uses.first
    return use.map { "\(tensor($0)?.name ?? "")[\($0.axis)]" } ?? ""
  }
}
