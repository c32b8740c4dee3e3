import ModelGraph

extension DimensionMap {
  /// Sorts heads and neurons into layers; the rest is offered by name or left alone.
  mutating func assignLayers(_ labels: LayerLabels) {
    let heads = headUnits()
    let neurons = dimensions.filter { $0.kind == .neurons }
    var blocks: [LayerLabel: LayerBlocks] = [:]
    let places = Self.places(heads.map(\.labels), labels)
    for (unit, place) in zip(heads, places) {
      if let place { blocks[place, default: LayerBlocks()].heads.append(unit.units) }
    }
    for (dimension, place) in zip(neurons, Self.places(neurons.map(\.labels), labels)) {
      if let place { blocks[place, default: LayerBlocks()].neurons.append(dimension) }
    }
    var stacks = labels.stacks
    if stacks.isEmpty, let last = blocks.keys.map(\.number).max() { stacks = [("", last + 1)] }
    let present = Set(labels.nodes.compactMap { $0 }).union(blocks.keys)
    for stack in stacks {
      // A number that no node carries is that of a layer that was taken out of the graph.
      let list = (0..<stack.count).filter { number in
        labels.stacks.isEmpty || present.contains(LayerLabel(stack: stack.name, number: number))
      }.map { (number: $0, blocks: blocks[LayerLabel(stack: stack.name, number: $0)]) }
      let depth = list.map { $0.blocks?.count ?? 0 }.max() ?? 0
      for rank in 0..<max(1, depth) {
        let present = rank == 0 ? list : list.filter { ($0.blocks?.count ?? 0) > rank }
        let name = rank == 0 ? stack.name : Self.name(of: present.compactMap(\.blocks), rank, in: stack.name, labels)
        for (number, blocks) in present {
          layers.append(
            LayerUnits(
              index: layers.count, stack: name, number: number, heads: blocks?.heads.dropFirst(rank).first,
              neurons: blocks?.neurons.dropFirst(rank).first, isFurtherBlock: rank > 0))
        }
      }
    }
    for index in layers.indices {
      if let heads = layers[index].heads {
        let found = unitBlocks(of: .heads(heads))
        layers[index].heads?.blocks = found
      }
      layers[index].neuronBlocks = layers[index].neurons.flatMap { unitBlocks(of: .single($0)) }
    }
    let assigned = Set(layers.flatMap(\.dimensions).map(\.id))
    let free = dimensions.filter { !assigned.contains($0.id) && ($0.kind.isOfferedByDefault || options.offersSizes) }
    if options.offersOthers { offer(free) } else { unassigned = free.filter(\.kind.isOfferedByDefault) }
  }

  private mutating func offer(_ free: [Dimension]) {
    var names: Set<String> = []
    for dimension in free {
      let base = graph.name(of: dimension.uses)
      var name = base
      if names.contains(name) { name = "\(base) \(dimension.kind.rawValue)" }
      var number = 2
      while !names.insert(name).inserted {
        name = "\(base) \(dimension.kind.rawValue) \(number)"
        number += 1
      }
      others.append(OtherUnits(name: name, dimension: dimension, blocks: unitBlocks(of: .single(dimension))))
    }
  }

  /// The layer of each of the units of a kind; nil where it is not certain.
  ///
  /// Where names number the layers but not the units of this kind, as an optimiser that fuses attentions leaves it, units are counted in order.
  private static func places(_ units: [[LayerLabel]], _ labels: LayerLabels) -> [LayerLabel?] {
    let areNamed = units.contains { !$0.isEmpty }
    let stack = labels.stacks.first
    guard !areNamed, labels.stacks.count <= 1, stack.map({ units.count >= $0.count && $0.count > 1 }) ?? true else {
      return units.map { $0.count == 1 ? $0[0] : nil }
    }
    return units.indices.map { index in
      stack.map { index < $0.count } ?? true ? LayerLabel(stack: stack?.name ?? "", number: index) : nil
    }
  }

  /// The name of the stack of further blocks in the layers of a stack.
  private static func name(
    of blocks: [LayerBlocks], _ rank: Int, in stack: String, _ labels: LayerLabels
  ) -> String {
    let uses = blocks.first.map {
      ($0.heads.dropFirst(rank).first?.dimensions ?? []) + $0.neurons.dropFirst(rank).prefix(1)
    }
    let part = labels.part(of: (uses ?? []).flatMap(\.uses)) ?? "\(rank + 1)"
    return stack.isEmpty ? part : "\(stack).\(part)"
  }

  /// The heads of each attention: the dimensions before the last factor of a summed axis.
  private func headUnits() -> [(units: HeadUnits, labels: [LayerLabel])] {
    var found: [(units: HeadUnits, labels: [LayerLabel])] = []
    var seen: Set<Int> = []
    let byFactor = Dictionary(dimensions.map { ($0.factor, $0) }, uniquingKeysWith: { first, _ in first })
    for dimension in dimensions where [.heads, .groups, .queries].contains(dimension.kind) {
      guard let contraction = dimension.contractions.first(where: { !$0.isActivationAlone }) else { continue }
      let factors = relations.table.flattened(contraction.axis)
      let outer = factors.dropLast().map { byFactor[$0] }
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
      var labels: [LayerLabel] = []
      for label in members.flatMap(\.labels) where !labels.contains(label) { labels.append(label) }
      let units = HeadUnits(
        groups: groups, queries: queries, allowsDifferentQueries: different,
        headSize: factors.last.flatMap { relations.table.size($0).constant })
      found.append((units, labels))
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

/// The attentions and feed-forward blocks of one layer, in the order of the graph.
private struct LayerBlocks {
  var heads: [HeadUnits] = []
  var neurons: [Dimension] = []

  var count: Int { max(heads.count, neurons.count) }
}
