import ModelGraph
import PollardBase
import TensorStorage

/// Decides which units are dead, by the zero rules of the operators at every sum over them.
///
/// A unit's verdict depends on its own slices only. Every node that carries a dimension works on each index of it alone, or sums over it;
/// what such a sum gives the rest of the model is taken as unknown, and so is what the units are computed from. So the same verdicts come out
/// when only some units are looked at and only their slices are read. The exception is a matrix between two dimensions: it is read whole.
struct UnitClassifier {
  let map: DimensionMap
  let pool: ThreadPool

  /// The verdicts by layer.
  ///
  /// - Parameter selection: the heads and neurons of each layer to look at; nil for all.
  /// - Throws: `FormatError` from reading weights, `CompactionError` for what cannot be cut out to be looked at.
  func verdicts(
    _ selection: [(heads: Set<Int>, neurons: Set<Int>)]? = nil
  ) throws -> [LayerVerdicts] {
    var keep = KeepTable()
    var wanted: Set<Int> = []
    let bridged = bridgedDimensions()
    for (index, layer) in map.layers.enumerated() {
      if let heads = layer.heads, selection.map({ !$0[index].heads.isEmpty }) ?? true {
        let units = selection?[index].heads ?? Set(0..<heads.count)
        for dimension in heads.dimensions { wanted.formUnion(map.nodesCarrying[dimension.factor] ?? []) }
        if selection != nil, heads.dimensions.allSatisfy({ !bridged.contains($0.id) }) {
          let ratio = heads.queriesPerGroup
          if let groups = heads.groups { keep.kept[groups.factor] = Set(units.map { $0 / ratio }).sorted() }
          if let queries = heads.queries { keep.kept[queries.factor] = Set(units.map { $0 % ratio }).sorted() }
        }
      }
      if let neurons = layer.neurons, selection.map({ !$0[index].neurons.isEmpty }) ?? true {
        let units = selection?[index].neurons ?? Set(0..<neurons.size)
        wanted.formUnion(map.nodesCarrying[neurons.factor] ?? [])
        if selection != nil, !bridged.contains(neurons.id) { keep.kept[neurons.factor] = units.sorted() }
      }
    }
    var rewriter = GraphRewriter(map, keep: keep)
    let graph = keep.isEmpty ? map.graph : try rewriter.rewritten()
    let positions = AxisPositions(table: map.relations.table, keep: keep)
    let gates = map.layers.map { $0.neurons.flatMap { FeedForwardGate($0, in: map) } }
    let analysis = try ZeroAnalysis(
      graph, nodes: wanted, unknownResults: sumsIntoTheRest(),
      keeping: Set(gates.compactMap { $0 }.flatMap { [$0.gate, $0.linear] }),
      pool: pool)
    let terms = Dictionary(analysis.contractions.map { ($0.node, $0) }, uniquingKeysWith: { first, _ in first })

    var result: [LayerVerdicts] = []
    for (index, layer) in map.layers.enumerated() {
      var verdicts = LayerVerdicts()
      if let heads = layer.heads {
        let found = join(.heads(heads), terms, positions)
        for (unit, evidence) in found where selection?[index].heads.contains(unit) ?? true {
          verdicts.heads[unit] = evidence.verdict(consumer: "H1", producer: "H2", constant: "H3")
          if evidence.activationPoisoned { verdicts.poisonedHeads.insert(unit) }
        }
      }
      if let neurons = layer.neurons {
        let gate = gates[index]
        let gateZero = gate.map { zeroUnits($0.gate, neurons, analysis, positions) } ?? []
        let linearZero = gate.map { zeroUnits($0.linear, neurons, analysis, positions) } ?? []
        for (unit, evidence) in join(.neurons(neurons), terms, positions)
        where selection?[index].neurons.contains(unit) ?? true {
          let producer = gate == nil ? "F2" : linearZero.contains(unit) || !gateZero.contains(unit) ? "G2" : "G3"
          verdicts.neurons[unit] = evidence.verdict(
            consumer: gate == nil ? "F1" : "G1", producer: producer, constant: gate == nil ? "F3" : "G6")
          if evidence.activationPoisoned { verdicts.poisonedNeurons.insert(unit) }
        }
      }
      result.append(verdicts)
    }
    return result
  }

  /// What all positions of a unit at all sums over it say together.
  private struct Evidence {
    var worst = ElementState.zero
    var consumerZero = true
    var producerZero = true
    var activationPoisoned = false

    func verdict(consumer: String, producer: String, constant: String) -> UnitVerdict {
      switch worst {
      case .zero: .dead(rule: consumerZero ? consumer : producerZero ? producer : "\(consumer)+\(producer)")
      case .constant: .constant(rule: constant)
      case .unknown: .live
      case .poisoned: .void
      }
    }
  }

  private func join(_ set: UnitSet, _ terms: [Int: ContractionTerms], _ positions: AxisPositions) -> [Int: Evidence] {
    var result = [Evidence?](repeating: nil, count: set.count)
    for contraction in set.contractions {
      guard let owners = set.units(along: contraction.axis, positions.table) else { return [:] }
      let kept = positions.positions(contraction.axis) ?? Array(owners.indices)
      let found = terms[contraction.node].flatMap { $0.terms.count == kept.count ? $0 : nil }
      for (place, position) in kept.enumerated() where owners[position] >= 0 {
        var evidence = result[owners[position]] ?? Evidence()
        if let found {
          evidence.worst = max(evidence.worst, found.terms[place])
          evidence.consumerZero = evidence.consumerZero && found.consumerZero[place]
          evidence.producerZero = evidence.producerZero && found.producerZero[place]
          evidence.activationPoisoned = evidence.activationPoisoned || found.activationPoisoned[place]
        } else {
          evidence.worst = max(evidence.worst, .unknown)
        }
        result[owners[position]] = evidence
      }
    }
    var byUnit: [Int: Evidence] = [:]
    for (unit, evidence) in result.enumerated() { byUnit[unit] = evidence }
    return byUnit
  }

  /// The neurons at which a value is zero for every input.
  private func zeroUnits(
    _ value: ValueID, _ dimension: Dimension, _ analysis: ZeroAnalysis, _ positions: AxisPositions
  ) -> Set<Int> {
    guard let state = analysis.states[value], let axis = map.axes(value)?.last,
      let owners = UnitSet.neurons(dimension).units(along: axis, positions.table)
    else { return [] }
    let kept = positions.positions(axis) ?? Array(owners.indices)
    guard !kept.isEmpty, state.states.count % kept.count == 0 else { return [] }
    var result: Set<Int> = []
    var live: Set<Int> = []
    for (place, found) in state.states.enumerated() where owners[kept[place % kept.count]] >= 0 {
      if found == .zero {
        result.insert(owners[kept[place % kept.count]])
      } else {
        live.insert(owners[kept[place % kept.count]])
      }
    }
    return result.subtracting(live)
  }

  /// Dimensions whose weights carry another dimension along another axis.
  private func bridgedDimensions() -> Set<Int> {
    var users: [NodeSlot: [(id: Int, axis: Int)]] = [:]
    for dimension in map.dimensions where [.heads, .groups, .queries, .neurons].contains(dimension.kind) {
      for use in dimension.uses { users[use.slot, default: []].append((dimension.id, use.axis)) }
    }
    var result: Set<Int> = []
    for found in users.values where Set(found.map(\.axis)).count > 1 { result.formUnion(found.map(\.id)) }
    return result
  }

  /// The nodes that sum over units and give results without units.
  private func sumsIntoTheRest() -> Set<Int> {
    let units = map.dimensions.filter { [.heads, .groups, .queries, .neurons].contains($0.kind) }
    let factors = Set(units.map(\.factor))
    return Set(units.flatMap(\.contractions).map(\.node)).filter { node in
      map.graph.nodes[node].outputs.allSatisfy { output in
        let axes = output.flatMap { map.axes($0) } ?? []
        return !axes.joined().contains { map.relations.table.leaves($0).contains(where: factors.contains) }
      }
    }
  }
}

/// The two factors of a gated feed-forward block: `f(gate) ⊙ linear`.
struct FeedForwardGate {
  let gate: ValueID
  let linear: ValueID

  /// Nil when the neurons come from a single matrix.
  init?(_ dimension: Dimension, in map: DimensionMap) {
    let graph = map.graph
    let table = map.relations.table
    let sums = Set(dimension.contractions.map(\.node))
    var sources = 0
    for use in dimension.uses where !sums.contains(use.slot.node) && graph.nodes[use.slot.node].op.name == "MatMul" {
      let axis = map.relations.operandAxes[use.slot].map { $0[use.axis] } ?? []
      sources += axis.flatMap(table.leaves).count { $0 == dimension.factor }
    }
    guard sources >= 2 else { return nil }
    let producers = graph.producers
    func isLinear(_ value: ValueID) -> Bool {
      var value = value
      while let index = producers[value] {
        let node = graph.nodes[index]
        if node.op.name == "MatMul" { return true }
        guard ["Add", "Sub", "Identity", "Cast", "Split", "Slice", "Reshape", "Transpose"].contains(node.op.name),
          let next = node.inputs.compactMap({ $0 }).first(where: { graph[$0].initializer == nil })
        else { return false }
        value = next
      }
      return false
    }
    for index in (map.nodesCarrying[dimension.factor] ?? []).sorted(by: >) {
      let node = graph.nodes[index]
      guard node.op.name == "Mul", let a = node.input(0), let b = node.input(1),
        [a, b].allSatisfy({ value in
          graph[value].initializer == nil
            && (map.axes(value)?.last ?? []).contains { table.leaves($0).contains(dimension.factor) }
        })
      else { continue }
      let linearA = isLinear(a)
      guard linearA != isLinear(b) else { return nil }
      (gate, linear) = linearA ? (b, a) : (a, b)
      return
    }
    return nil
  }
}
