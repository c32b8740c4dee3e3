import ModelGraph
import PollardBase
import TensorStorage

/// A node, put in by the map, that reads a shared table through a list of the positions its own reader keeps.
struct TieReader: Sendable {
  /// The node's index.
  var node: Int
  /// The shared value.
  var table: ValueID
  /// The axis the readers have in common.
  var axis: Int
}

/// Gives every layer that reads a shared activation an axis of its own, where the axis ties units of several layers together.
///
/// A table of relative positions is added to the scores in every layer of a stack, so that its axis of heads is the axis of heads of all of
/// them. A `Gather` by the list of all heads before each layer's addition changes no number and unties them: each layer cuts its own list. Lists
/// that select everything vanish again when the graph is rewritten, and the table keeps what any layer keeps.
struct TieLoosening {
  let map: DimensionMap

  init(_ map: DimensionMap) { self.map = map }

  /// The map of the loosened graph; nil when nothing is tied, or untying does not help.
  func loosened() throws(GraphError) -> DimensionMap? {
    let before = Self.tied(map)
    if before.isEmpty { return nil }
    var graph = map.graph
    var insertions: [Int: [Node]] = [:]
    var sources: [ValueID: (table: ValueID, axis: Int)] = [:]
    var nodes = graph.nodes
    let uses = graph.uses
    for dimension in before {
      for (value, axis) in tables(of: dimension) {
        let readers = (uses[value] ?? []).filter { nodes[$0.node].op.name != "Shape" }
        for group in groups(readers) {
          guard let first = group.map(\.node).min(),
            let type = graph[value].type
          else { continue }
          let name = unused("\(nodes[first].name)/\(graph[value].name)", in: graph)
          let list = Weight.integers((0..<dimension.size).map(Int64.init), shape: [dimension.size])
          let indices = graph.addValue(
            Value(name: name + ".heads", type: ValueType(.i64, [Size(dimension.size)]), initializer: list))
          let result = graph.addValue(Value(name: name, type: type))
          insertions[first, default: []].append(
            Node(
              OperatorName("Gather"), name: name, inputs: [value, indices], outputs: [result],
              attributes: ["axis": .integer(axis)], scope: nodes[first].scope, version: nodes[first].version,
              region: nodes[first].region))
          sources[result] = (value, axis)
          for reader in group { nodes[reader.node].inputs[reader.slot] = result }
        }
      }
    }
    if sources.isEmpty { return nil }
    graph.replaceNodes(nodes.indices.flatMap { (insertions[$0] ?? []) + [nodes[$0]] })
    var ties: [TieReader] = []
    for (index, node) in graph.nodes.enumerated() {
      if let output = node.outputs.first.flatMap({ $0 }), let (table, axis) = sources[output] {
        ties.append(TieReader(node: index, table: table, axis: axis))
      }
    }
    let inference = try ShapeInference.inferAll(&graph)
    let result = DimensionMap(inferred: graph, inference, map.options, ties: ties)
    let after = Self.tied(result)
    return after.count < before.count || result.heads > map.heads ? result : nil
  }

  /// Dimensions of heads that several layers share; where names tell nothing, that several output projections sum over.
  private static func tied(_ map: DimensionMap) -> [Dimension] {
    map.dimensions.filter { dimension in
      guard [.heads, .groups, .queries].contains(dimension.kind) else { return false }
      if !dimension.labels.isEmpty { return dimension.labels.count > 1 }
      return Set(dimension.contractions.map(\.node)).count > 1
    }
  }

  /// The values with an axis that is the dimension and nothing else, read by several layers.
  private func tables(of dimension: Dimension) -> [(value: ValueID, axis: Int)] {
    let table = map.relations.table
    var result: [(value: ValueID, axis: Int)] = []
    var seen: Set<ValueID> = []
    let uses = map.graph.uses
    for index in (map.nodesCarrying[dimension.factor] ?? []).sorted() {
      for case let output? in map.graph.nodes[index].outputs where seen.insert(output).inserted {
        guard let axis = map.axes(output)?.firstIndex(where: { table.flattened($0) == [dimension.factor] }),
          let readers = uses[output], groups(readers.filter { map.graph.nodes[$0.node].op.name != "Shape" }).count > 1
        else { continue }
        result.append((output, axis))
      }
    }
    return result
  }

  /// The readers of a value by the layer they stand in; each by itself where names tell nothing of any. Empty when one layer has them all.
  private func groups(_ readers: [NodeSlot]) -> [[NodeSlot]] {
    let nodes = map.graph.nodes
    let labels = Set(readers.compactMap { nodes[$0.node].layer })
    if labels.count == 1 { return [] }
    var order: [String] = []
    var groups: [String: [NodeSlot]] = [:]
    for reader in readers {
      let node = nodes[reader.node]
      // A reader outside of layers, such as the end of a branch, reads what it read.
      if !labels.isEmpty, node.layer == nil { continue }
      let place = node.layer.map { "\($0.stack) \($0.number) \(node.region ?? -1)" } ?? "node \(reader.node)"
      if groups[place] == nil { order.append(place) }
      groups[place, default: []].append(reader)
    }
    return order.count > 1 ? order.compactMap { groups[$0] } : []
  }

  private func unused(_ base: String, in graph: Graph) -> String {
    var name = base
    var number = 2
    while graph.value(named: name) != nil || graph.value(named: name + ".heads") != nil {
      name = "\(base).\(number)"
      number += 1
    }
    return name
  }
}

extension DimensionMap {
  /// The number of head units found.
  fileprivate var heads: Int { dimensions.count { [.heads, .groups, .queries].contains($0.kind) } }

  /// The factor of a tie's table and that of its list; nil where an axis is not known.
  func factors(of tie: TieReader) -> (table: FactorID, list: FactorID)? {
    guard let axes = axes(tie.table), axes.indices.contains(tie.axis),
      let list = relations.operandAxes[NodeSlot(node: tie.node, slot: 1)]?.first,
      let table = relations.table.flattened(axes[tie.axis]).first, let factor = relations.table.flattened(list).first,
      relations.table.flattened(axes[tie.axis]).count == 1, relations.table.flattened(list).count == 1,
      relations.table.parts(table) == .leaf, relations.table.parts(factor) == .leaf
    else { return nil }
    return (table, factor)
  }

  /// Kept positions of shared tables: what any of their readers keeps.
  func withTables(_ keep: KeepTable) -> KeepTable {
    if ties.isEmpty || keep.isEmpty { return keep }
    var keep = keep
    var kept: [FactorID: Set<Int>?] = [:]
    let summed = Set(relations.contractions.flatMap(\.axis).flatMap(relations.table.leaves))
    let pins = relations.table.leafPins()
    let own = Set(ties.map(\.node))
    for tie in ties {
      guard let (table, list) = factors(of: tie), !summed.contains(table), keep.dependent[list] == nil,
        (pins[table] ?? []).allSatisfy({ $0.node.map(own.contains) ?? false })
      else { continue }
      guard let positions = keep.kept[list] else {
        kept[table] = .some(nil)
        continue
      }
      if let known = kept[table] {
        kept[table] = known.map { $0.union(positions) }
      } else {
        kept[table] = Set(positions)
      }
    }
    for case (let table, let positions?) in kept { keep.kept[table] = positions.sorted() }
    return keep
  }
}

extension GraphRewriter {
  /// Writes the lists through which loosened readers read, as positions of the smaller table; what selects everything is bypassed.
  mutating func rewriteTies() {
    for tie in map.ties {
      guard let (table, list) = map.factors(of: tie), let size = map.relations.table.size(list).constant,
        let result = nodes[tie.node].outputs.first.flatMap({ $0 })
      else { continue }
      let rows = positions.keep.kept[table] ?? Array(0..<size)
      let wanted = positions.keep.kept[list] ?? Array(0..<size)
      if rows == wanted {
        for index in nodes.indices {
          for (slot, input) in nodes[index].inputs.enumerated() where input == result {
            nodes[index].inputs[slot] = tie.table
          }
        }
        continue
      }
      let place = Dictionary(uniqueKeysWithValues: rows.enumerated().map { ($1, $0) })
      nodes[tie.node].inputs[1] = constant(
        wanted.compactMap { place[$0] }, map.graph.nodes[tie.node].input(1).map { graph[$0].name } ?? "heads")
    }
  }
}
