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

  /// The verdicts by layer, and those on the map's other units.
  ///
  /// - Parameters:
  ///   - selection: the heads and neurons of each layer to look at; nil for all.
  ///   - others: the other units to look at; nil for all.
  /// - Throws: `FormatError` from reading weights.
  func verdicts(
    _ selection: [(heads: Set<Int>, neurons: Set<Int>)]? = nil, others: [Set<Int>]? = nil
  ) throws -> (layers: [LayerVerdicts], others: [SetVerdicts]) {
    var asked: [(set: UnitSet, units: Set<Int>?)] = []
    for (index, layer) in map.layers.enumerated() {
      if let heads = layer.heads { asked.append((.heads(heads), selection.map { $0[index].heads })) }
      if let neurons = layer.neurons { asked.append((.single(neurons), selection.map { $0[index].neurons })) }
    }
    for (index, units) in map.others.enumerated() { asked.append((.single(units.dimension), others.map { $0[index] })) }
    var found = try verdicts(on: asked)[...]
    var layers: [LayerVerdicts] = []
    for layer in map.layers {
      var verdicts = LayerVerdicts()
      if layer.heads != nil { verdicts.heads = found.removeFirst() }
      if layer.neurons != nil { verdicts.neurons = found.removeFirst() }
      layers.append(verdicts)
    }
    return (layers, Array(found))
  }

  private func verdicts(on asked: [(set: UnitSet, units: Set<Int>?)]) throws -> [SetVerdicts] {
    var keep = KeepTable()
    var wanted: Set<Int> = []
    let bridged = bridgedDimensions()
    for (set, units) in asked where !(units?.isEmpty ?? false) {
      for dimension in set.dimensions { wanted.formUnion(map.nodesCarrying[dimension.factor] ?? []) }
      guard let units, set.dimensions.allSatisfy({ !bridged.contains($0.id) }) else { continue }
      switch set {
      case .heads(let heads):
        let ratio = heads.queriesPerGroup
        if let groups = heads.groups { keep.kept[groups.factor] = Set(units.map { $0 / ratio }).sorted() }
        if let queries = heads.queries { keep.kept[queries.factor] = Set(units.map { $0 % ratio }).sorted() }
      case .single(let dimension): keep.kept[dimension.factor] = units.sorted()
      }
    }
    wanted.formUnion(makersOfWeights(wanted))
    var graph = map.graph
    if !keep.isEmpty {
      var rewriter = GraphRewriter(map, keep: keep)
      rewriter.keepsEveryNode = true
      do { graph = try rewriter.rewritten() } catch {
        // What cannot be cut out is looked at whole.
        keep = KeepTable()
      }
    }
    let positions = AxisPositions(table: map.relations.table, keep: map.withTables(keep))
    let gates = asked.map { set, _ -> FeedForwardGate? in
      if case .single(let dimension) = set, dimension.kind == .neurons { return FeedForwardGate(dimension, in: map) }
      return nil
    }
    let numbers = NodeNumbers(map.graph, graph)
    let analysis = try ZeroAnalysis(
      graph, nodes: numbers.after(wanted), unknownResults: numbers.after(sumsIntoTheRest()),
      keeping: Set(gates.compactMap { $0 }.flatMap { [$0.gate, $0.linear] }),
      pool: pool)
    let terms = Dictionary(grouping: analysis.contractions) { numbers.before[$0.node] ?? -1 }

    return zip(asked, gates).map { asked, gate in
      var result = SetVerdicts()
      let letter = asked.set.dimensions.first?.kind.ruleLetter ?? "F"
      var gateZero: Set<Int> = []
      var linearZero: Set<Int> = []
      if let gate, case .single(let dimension) = asked.set {
        gateZero = zeroUnits(gate.gate, dimension, analysis, positions)
        linearZero = zeroUnits(gate.linear, dimension, analysis, positions)
      }
      for (unit, evidence) in join(asked.set, terms, positions) where asked.units?.contains(unit) ?? true {
        if gate != nil {
          let producer = linearZero.contains(unit) || !gateZero.contains(unit) ? "G2" : "G3"
          result.units[unit] = evidence.verdict(consumer: "G1", producer: producer, constant: "G6")
        } else {
          result.units[unit] = evidence.verdict(
            consumer: letter + "1", producer: letter + "2", constant: letter + "3")
        }
        if evidence.activationPoisoned { result.poisoned.insert(unit) }
        if evidence.worst == .constant { result.constants[unit] = evidence.constants }
      }
      return result
    }
  }

  /// The nodes that make constant operands of some nodes, such as those that dequantise weights.
  private func makersOfWeights(_ nodes: Set<Int>) -> Set<Int> {
    if map.constants.isEmpty { return [] }
    let producers = map.graph.producers
    var found: Set<Int> = []
    var open = Array(nodes)
    while let node = open.popLast() {
      for case let input? in map.graph.nodes[node].inputs where map.constants.contains(input) {
        if let producer = producers[input], found.insert(producer).inserted { open.append(producer) }
      }
    }
    return found
  }

  /// What all positions of a unit at all sums over it say together.
  private struct Evidence {
    var worst = ElementState.zero
    var consumerZero = true
    var producerZero = true
    var activationPoisoned = false
    var constants: [ConstantTerm] = []

    func verdict(consumer: String, producer: String, constant: String) -> UnitVerdict {
      switch worst {
      case .zero: .dead(rule: consumerZero ? consumer : producerZero ? producer : "\(consumer)+\(producer)")
      case .constant: .constant(rule: constant)
      case .unknown: .live
      case .poisoned: .void
      }
    }
  }

  private func join(
    _ set: UnitSet, _ terms: [Int: [ContractionTerms]], _ positions: AxisPositions
  ) -> [Int: Evidence] {
    var result = [Evidence?](repeating: nil, count: set.count)
    for (number, contraction) in set.contractions.enumerated() {
      guard let owners = set.units(along: contraction.axis, positions.table) else {
        return Dictionary(uniqueKeysWithValues: (0..<set.count).map { ($0, Evidence(worst: .unknown)) })
      }
      let kept = positions.positions(contraction.axis) ?? Array(owners.indices)
      let slots = [contraction.left, contraction.right].compactMap { place -> Int? in
        if case .input(let slot, _) = place { slot } else { nil }
      }
      // A node may sum over several axes; each is known by its operand.
      let found = terms[contraction.node]?.first {
        $0.terms.count == kept.count && slots.contains($0.activationSlot)
      }
      for (place, position) in kept.enumerated() where owners[position] >= 0 {
        var evidence = result[owners[position]] ?? Evidence()
        if let found {
          evidence.worst = max(evidence.worst, found.terms[place])
          evidence.consumerZero = evidence.consumerZero && found.consumerZero[place]
          evidence.producerZero = evidence.producerZero && found.producerZero[place]
          evidence.activationPoisoned = evidence.activationPoisoned || found.activationPoisoned[place]
          if found.terms[place] == .constant, found.constants.count == kept.count {
            evidence.constants.append(
              ConstantTerm(contraction: number, position: position, activation: found.constants[place]))
          }
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
      let owners = UnitSet.single(dimension).units(along: axis, positions.table)
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

  /// The dimensions whose units are looked at, here or in another run: heads, neurons, and what else the map offers.
  private var removable: Set<Int> {
    let others = Set(map.others.map(\.dimension.id))
    return Set(
      map.dimensions.filter { [.heads, .groups, .queries, .neurons].contains($0.kind) || others.contains($0.id) }
        .map(\.id))
  }

  /// Dimensions whose weights carry another dimension along another axis.
  private func bridgedDimensions() -> Set<Int> {
    let units = removable
    var users: [NodeSlot: [(id: Int, axis: Int)]] = [:]
    for dimension in map.dimensions where units.contains(dimension.id) {
      for use in dimension.uses { users[use.slot, default: []].append((dimension.id, use.axis)) }
    }
    var result: Set<Int> = []
    for found in users.values where Set(found.map(\.axis)).count > 1 { result.formUnion(found.map(\.id)) }
    return result
  }

  /// The nodes that sum over units and give results without units.
  private func sumsIntoTheRest() -> Set<Int> {
    let removable = removable
    let units = map.dimensions.filter { removable.contains($0.id) }
    let factors = Set(units.map(\.factor))
    return Set(units.flatMap(\.contractions).map(\.node)).filter { node in
      map.graph.nodes[node].outputs.allSatisfy { output in
        let axes = output.flatMap { map.axes($0) } ?? []
        return !axes.joined().contains { map.relations.table.leaves($0).contains(where: factors.contains) }
      }
    }
  }
}

/// Which node of a graph is which of one that was made from it by inserting nodes: results keep their numbers.
struct NodeNumbers {
  /// The index before, by the index after.
  private(set) var before: [Int: Int] = [:]
  private var indexAfter: [Int: Int] = [:]

  init(_ original: Graph, _ changed: Graph) {
    let producers = changed.producers
    for (index, node) in original.nodes.enumerated() {
      guard let output = node.outputs.lazy.compactMap({ $0 }).first, let new = producers[output] else { continue }
      before[new] = index
      indexAfter[index] = new
    }
  }

  /// The indices after of some nodes; those that are gone are left out.
  func after(_ nodes: Set<Int>) -> Set<Int> { Set(nodes.compactMap { indexAfter[$0] }) }
}

/// The two factors of a gated feed-forward block: `f(gate) ⊙ linear`.
struct FeedForwardGate {
  let gate: ValueID
  let linear: ValueID

  private static let products: Set<String> = ["MatMul", "Gemm", "FusedMatMul", "MatMulNBits", "MatMulInteger", "Conv"]

  /// Nil when the neurons come from a single matrix.
  init?(_ dimension: Dimension, in map: DimensionMap) {
    let graph = map.graph
    let table = map.relations.table
    let sums = Set(dimension.contractions.map(\.node))
    var sources = 0
    for use in dimension.uses
    where !sums.contains(use.slot.node) && Self.products.contains(graph.nodes[use.slot.node].op.name) {
      let axis = map.relations.operandAxes[use.slot].map { $0[use.axis] } ?? []
      sources += axis.flatMap(table.leaves).count { $0 == dimension.factor }
    }
    guard sources >= 2 else { return nil }
    let producers = graph.producers
    let products = Self.products
    func isLinear(_ value: ValueID) -> Bool {
      var value = value
      while let index = producers[value] {
        let node = graph.nodes[index]
        if products.contains(node.op.name) { return true }
        guard ["Add", "Sub", "Identity", "Cast", "Split", "Slice", "Reshape", "Transpose"].contains(node.op.name),
          let next = node.inputs.compactMap({ $0 }).first(where: {
            graph[$0].initializer == nil && !map.constants.contains($0)
          })
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
