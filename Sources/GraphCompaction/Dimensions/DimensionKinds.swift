import ModelGraph

/// Tells what factors count, from the sums over them.
struct DimensionKinds {
  let graph: Graph
  let relations: AxisRelations
  let constants: Set<ValueID>

  private static let convolutions: Set<String> = ["Conv", "ConvInteger", "QLinearConv", "ConvTranspose", "FusedConv"]

  func kind(of leaf: FactorID, uses: [WeightUse], _ contractions: [Contraction]) -> DimensionKind {
    var roles: [DimensionKind] = []
    for contraction in contractions where !contraction.isActivationAlone {
      if isProductOfActivations(contraction) { return .scoreSize }
      roles.append(role(of: leaf, in: contraction.axis))
    }
    if uses.contains(where: { isChannel(leaf, $0) }) { return .channels }
    guard let role = roles.first, roles.allSatisfy({ $0 == role }) else { return .valueSize }
    if role == .heads, isNeverCompared(leaf) { return .neurons }
    if role == .heads, isQueriesOfOneGroup(leaf) { return .queries }
    return role == .neurons && isMixedByWeights(leaf) ? .valueSize : role
  }

  /// The positions of the summed axis that each unit of a factor takes.
  func blockSize(of leaf: FactorID, _ contractions: [Contraction]) -> Int {
    for contraction in contractions {
      let factors = relations.table.flattened(contraction.axis)
      guard let place = factors.firstIndex(of: leaf) else { continue }
      return relations.table.size(of: Array(factors[(place + 1)...]))?.constant ?? 1
    }
    return 1
  }

  private func isComputed(_ slot: NodeSlot) -> Bool {
    relations.operandAxes[slot] == nil && !(graph.nodes[slot.node].input(slot.slot).map(constants.contains) ?? false)
  }

  private func operands(_ contraction: Contraction) -> (NodeSlot, NodeSlot)? {
    guard case .input(let left, _) = contraction.left, case .input(let right, _) = contraction.right else { return nil }
    return (NodeSlot(node: contraction.node, slot: left), NodeSlot(node: contraction.node, slot: right))
  }

  private func isProductOfActivations(_ contraction: Contraction) -> Bool {
    operands(contraction).map { isComputed($0) && isComputed($1) } ?? true
  }

  /// Whether the factor is all of a convolution's axis.
  private func isChannel(_ leaf: FactorID, _ use: WeightUse) -> Bool {
    guard Self.convolutions.contains(graph.nodes[use.slot.node].op.name),
      let axis = relations.operandAxes[use.slot].map({ $0[use.axis] })
    else { return false }
    return role(of: leaf, in: axis) == .neurons
  }

  private func role(of leaf: FactorID, in axis: Axis) -> DimensionKind {
    let table = relations.table
    var factors = table.flattened(axis)
    // What a block of quantised numbers holds is no unit of its own.
    while factors.count > 1, let last = factors.last, last != leaf, isBlock(last) { factors.removeLast() }
    if factors.count == 1, let only = factors.first, case .sum(let parts) = table.parts(only) {
      for part in parts where table.leaves(part).contains(leaf) { return role(of: leaf, in: [part]) }
    }
    guard let place = factors.firstIndex(of: leaf) else { return .valueSize }
    if factors.count == 1 { return .neurons }
    if place == factors.count - 1 { return .valueSize }
    if factors.count == 2 { return .heads }
    return factors.count == 3 ? (place == 0 ? .groups : .queries) : .valueSize
  }

  private func isBlock(_ factor: FactorID) -> Bool {
    let pins = relations.table.pins(factor)
    return !pins.isEmpty && pins.allSatisfy { $0.reason == .block }
  }

  private func carries(_ axes: [Axis]?, _ leaf: FactorID) -> Bool {
    (axes ?? []).joined().contains { relations.table.leaves($0).contains(leaf) }
  }

  /// Whether the factor passes through a product of two computed operands, as the values of a single head do.
  private func isMixedByWeights(_ leaf: FactorID) -> Bool {
    relations.contractions.contains { contraction in
      guard let (left, right) = operands(contraction), !contraction.isActivationAlone, isComputed(left),
        isComputed(right)
      else { return false }
      return graph.nodes[contraction.node].outputs.contains {
        carries($0.flatMap { relations.valueAxes[$0] }, leaf)
      }
    }
  }

  /// Whether no attention has the factor, neither a node that is one nor a product of two computed operands: then it counts blocks of neurons
  /// that a format keeps together.
  private func isNeverCompared(_ leaf: FactorID) -> Bool {
    func carries(_ node: Int) -> Bool {
      let outputs = graph.nodes[node].outputs.map { $0.flatMap { relations.valueAxes[$0] } }
      let inputs = graph.nodes[node].inputs.indices.map {
        relations.axes(of: NodeSlot(node: node, slot: $0), in: graph)
      }
      return (inputs + outputs).contains { self.carries($0, leaf) }
    }
    let products = relations.contractions.filter { contraction in
      guard let (left, right) = operands(contraction), !contraction.isActivationAlone else { return false }
      return isComputed(left) && isComputed(right)
    }.map(\.node)
    let attentions = graph.nodes.indices.filter { graph.nodes[$0].op.name.hasSuffix("Attention") }
    return !(products + attentions).contains(where: carries)
  }

  /// Whether scores are formed of queries that carry the factor and keys that do not.
  private func isQueriesOfOneGroup(_ leaf: FactorID) -> Bool {
    relations.contractions.contains { contraction in
      guard let (queries, keys) = operands(contraction), !contraction.isActivationAlone, isComputed(queries),
        isComputed(keys)
      else { return false }
      return carries(relations.axes(of: queries, in: graph), leaf)
        && !carries(relations.axes(of: keys, in: graph), leaf)
    }
  }
}
