import ModelGraph

/// Which axes the graph's inputs and outputs hold, and which of these may change all the same.
struct InterfacePins {
  let graph: Graph
  let relations: AxisRelations
  let options: DimensionOptions
  /// The inputs and outputs that carry each factor.
  private var carriers: [FactorID: [ValueID]] = [:]

  init(_ graph: Graph, _ relations: AxisRelations, _ options: DimensionOptions) {
    self.graph = graph
    self.relations = relations
    self.options = options
    for id in graph.inputs + graph.outputs {
      for leaf in Set((relations.valueAxes[id] ?? []).joined().flatMap(relations.table.leaves)) {
        carriers[leaf, default: []].append(id)
      }
    }
  }

  /// Whether nothing holds a factor but inputs and outputs that may change.
  func isFree(_ leaf: FactorID, _ pins: [Pin]?) -> Bool {
    guard let pins, !pins.isEmpty else { return true }
    guard pins.allSatisfy({ $0.reason.isSoft }), let carriers = carriers[leaf] else { return false }
    return carriers.allSatisfy(mayChange)
  }

  /// What holds a factor, each reason once.
  func reasons(_ leaf: FactorID, _ pins: [Pin]) -> [PinnedReason] {
    var reasons: [PinnedReason] = []
    for pin in pins where !reasons.contains(where: { $0.reason == pin.reason }) {
      let sides = pin.reason == .graphInput ? graph.inputs : pin.reason == .graphOutput ? graph.outputs : []
      let holders = (carriers[leaf] ?? []).filter { sides.contains($0) && !mayChange($0) }
      if pin.reason.isSoft, holders.isEmpty { continue }
      var names: [String] = []
      for id in holders where !names.contains(graph[id].name) { names.append(graph[id].name) }
      reasons.append(
        PinnedReason(reason: pin.reason, node: pin.node.map { graph.nodes[$0].name }, interface: Array(names.prefix(4)))
      )
    }
    return reasons
  }

  private func mayChange(_ id: ValueID) -> Bool {
    let name = graph[id].name
    return options.changedInterface.contains(name) || options.changesCaches && Self.isCache(name)
  }

  /// Whether an input or output is a cache of keys or values by its name, as every exporter names it: `past_key_values.0.key`, `present.0.value`.
  private static func isCache(_ name: String) -> Bool {
    let name = name.lowercased()
    return ["past", "present", "cache"].contains { name.contains($0) }
  }
}

/// An input or output that has another shape in the smaller graph.
public struct InterfaceChange: Sendable, Hashable {
  /// The name.
  public var name: String
  /// Whether it is an input.
  public var isInput: Bool
  /// The shape before.
  public var before: [Size]
  /// The shape after.
  public var after: [Size]

  /// A sentence: `input past_key_values.0.key: [batch, 4, past, 8] becomes [batch, 3, past, 8]`.
  public var text: String { "\(isInput ? "input" : "output") \(name): \(before) becomes \(after)" }
}

extension DimensionMap {
  /// The inputs and outputs whose shape a smaller graph changes, inputs first.
  public func interfaceChanges(to small: Graph) -> [InterfaceChange] {
    func changes(_ ids: [ValueID], isInput: Bool) -> [InterfaceChange] {
      ids.compactMap { id in
        guard let before = graph[id].type?.shape, let after = small[id].type?.shape, before != after else { return nil }
        return InterfaceChange(name: graph[id].name, isInput: isInput, before: before, after: after)
      }
    }
    return changes(graph.inputs, isInput: true) + changes(graph.outputs, isInput: false)
  }
}
