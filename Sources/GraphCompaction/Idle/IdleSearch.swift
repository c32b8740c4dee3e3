import ModelGraph
import PollardBase

extension DimensionMap {
  /// The parts of layers whose results are zero for every input for which the model's activations are finite.
  ///
  /// A part is one if every operator between its weights and the stream gives zero by its zero rule: output matrix and bias zero, or values (or
  /// neurons) that are zero before the matrix, and norms that leave zero. Its matrices are read whole only when its first unit is dead.
  ///
  /// - Parameter mask: declares units off; then only parts all of whose units it declares off are looked at, in the masked model. Nil to look at
  ///   what the weights alone prove.
  /// - Throws: `FormatError` from reading weights, `CompactionError` for a mask that does not fit.
  public func idleParts(mask: UnitMask? = nil, pool: ThreadPool) throws -> [IdlePart] {
    guard let mask else {
      let first = layers.map { layer in
        (heads: layer.heads == nil ? Set<Int>() : [0], neurons: layer.neurons == nil ? Set<Int>() : [0])
      }
      let verdicts = try self.verdicts(heads: first.map(\.heads), neurons: first.map(\.neurons), pool: pool)
      let candidates = verdicts.map { (heads: $0.heads[0].isDead, neurons: $0.neurons[0].isDead) }
      return try IdleSearch(self, graph).parts(candidates, pool: pool)
    }
    let (wishes, others) = try mask.wishes(for: self)
    let candidates = zip(layers, wishes).map { layer, wish in
      (
        heads: layer.heads.map { wish.heads.count == $0.count } ?? false,
        neurons: layer.neurons.map { wish.neurons.count == $0.size } ?? false
      )
    }
    guard candidates.contains(where: { $0.heads || $0.neurons }) else { return [] }
    return try IdleSearch(self, maskedGraph(wishes, others: others)).parts(candidates, pool: pool)
  }
}

extension UnitVerdict? {
  fileprivate var isDead: Bool { if case .dead? = self { true } else { false } }
}

/// Looks at the sums by which parts of layers join the stream.
private struct IdleSearch {
  private let map: DimensionMap
  private let graph: Graph
  private let uses: [ValueID: [NodeSlot]]
  private let producers: [ValueID: Int]
  private let outputs: Set<ValueID>

  /// How many nodes may stand between a matrix and the sum: a bias, a norm, a factor, a change of type.
  private static let reach = 12

  /// - Parameter graph: the map's graph, or one with the same results in which weights are masked.
  init(_ map: DimensionMap, _ graph: Graph) {
    self.map = map
    self.graph = graph
    uses = graph.uses
    producers = graph.producers
    outputs = Set(graph.outputs)
  }

  /// The way from a matrix that sums over units to the sums with the stream.
  private struct Branch {
    var layer: Int
    var part: LayerPart
    /// The nodes on the way.
    var nodes: [Int] = []
    /// The sums, with the operand that the branch gives.
    var sums: [NodeSlot] = []
  }

  func parts(_ candidates: [(heads: Bool, neurons: Bool)], pool: ThreadPool) throws -> [IdlePart] {
    var branches: [Branch] = []
    for (layer, candidate) in zip(map.layers, candidates) {
      if candidate.heads, let heads = layer.heads {
        branches += self.branches(heads.contractions, layer.index, .attention)
      }
      if candidate.neurons, let neurons = layer.neurons {
        branches += self.branches(neurons.contractions, layer.index, .feedForward)
      }
    }
    if branches.isEmpty { return [] }
    // Without a sum to look at a branch, and with it its part, is not idle.
    for index in branches.indices {
      if try !hasFiniteVectors(branches[index]) { branches[index].sums = [] }
    }
    let streams = Set(branches.flatMap(\.sums).compactMap { graph.nodes[$0.node].input(1 - $0.slot) })
    let terms = Set(branches.flatMap(\.sums).compactMap { graph.nodes[$0.node].input($0.slot) })
    var wanted: Set<Int> = []
    for branch in branches { collect(branch.nodes, stoppingAt: streams.subtracting(terms), into: &wanted) }
    let analysis = try ZeroAnalysis(graph, nodes: wanted, keeping: terms, pool: pool)
    func isZero(_ id: ValueID) -> Bool {
      guard let state = analysis.states[id], !state.shape.contains(0) else { return false }
      return state.worst == .zero
    }
    var result: [IdlePart] = []
    for (layer, part) in map.layers.indices.flatMap({ layer in LayerPart.allCases.map { (layer, $0) } }) {
      let own = branches.filter { $0.layer == layer && $0.part == part }.map { replaced(by: $0, isZero) }
      // A part with several matrices is idle when all of them are.
      guard !own.isEmpty, own.allSatisfy({ !$0.isEmpty }) else { continue }
      let sums = own.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
      result.append(IdlePart(layer: layer, part: part, sums: sums))
    }
    return result
  }

  /// The sums along a way whose term from it is zero, up to the first where it is not, each with the other term.
  private func replaced(by branch: Branch, _ isZero: (ValueID) -> Bool) -> [ValueID: ValueID] {
    var result: [ValueID: ValueID] = [:]
    for sum in branch.sums {
      let node = graph.nodes[sum.node]
      guard let term = node.input(sum.slot), let stream = node.input(1 - sum.slot), let output = node.outputs[0],
        isZero(term)
      else { break }
      result[output] = source(of: stream)
    }
    return result
  }

  /// What a value is the same as, before casts to the type it has.
  private func source(of id: ValueID) -> ValueID {
    var id = id
    while let producer = producers[id], ["Cast", "Identity"].contains(graph.nodes[producer].op.name),
      graph.nodes[producer].op.domain.isEmpty, let input = graph.nodes[producer].input(0), isComputed(input),
      let type = graph[id].type, graph[input].type == type
    { id = input }
    return id
  }

  private func branches(_ contractions: [Contraction], _ layer: Int, _ part: LayerPart) -> [Branch] {
    var result: [Branch] = []
    var seen: Set<Int> = []
    for contraction in contractions {
      // Nodes of a masked graph are found by their results.
      guard let output = map.graph.nodes[contraction.node].outputs.first ?? nil, let node = producers[output] else {
        return []
      }
      guard seen.insert(node).inserted else { continue }
      guard !contraction.isActivationAlone, map.consumer(contraction) != nil,
        let branch = branch(from: node, output, layer, part)
      else { return [] }
      result.append(branch)
    }
    return result
  }

  private func branch(from node: Int, _ output: ValueID, _ layer: Int, _ part: LayerPart) -> Branch? {
    var branch = Branch(layer: layer, part: part, nodes: [node])
    var value = output
    for _ in 0..<Self.reach {
      guard !outputs.contains(value), let readers = uses[value], readers.count == 1, let place = readers.first else {
        break
      }
      let next = graph.nodes[place.node]
      guard next.bodies.isEmpty, next.op.name != "If", let result = next.outputs.first ?? nil,
        next.outputs.dropFirst().allSatisfy({ $0.map { uses[$0] == nil && !outputs.contains($0) } ?? true })
      else { break }
      if isSum(next) {
        branch.sums.append(place)
      } else {
        // Behind a sum only another sum follows, as where attention and network are added up first.
        guard branch.sums.isEmpty, next.inputs.count(where: { $0.map(isComputedNumber) ?? false }) == 1 else { break }
      }
      branch.nodes.append(place.node)
      value = result
    }
    return branch.sums.isEmpty ? nil : branch
  }

  /// Whether norms and biases on a way, and before it back to the stream, are finite; matrices are looked at where they are multiplied.
  private func hasFiniteVectors(_ branch: Branch) throws(FormatError) -> Bool {
    var nodes: Set<Int> = []
    collect(branch.nodes, stoppingAt: streams(of: branch), into: &nodes)
    for index in nodes {
      for case let input? in graph.nodes[index].inputs {
        guard let weight = graph[input].initializer, weight.type.isFloatingPoint, weight.type.canBeCast(to: .f32),
          weight.shape.rank == 1
        else { continue }
        let values = try weight.cast(to: .f32).floats()
        // A single number may be what masks fill in; the zero rules look at factors.
        if !values.allSatisfy(values.count == 1 ? { !$0.isNaN } : { $0.isFinite }) { return false }
      }
    }
    return true
  }

  /// The other terms of the sums at the end of a way.
  private func streams(of branch: Branch) -> Set<ValueID> {
    Set(branch.sums.compactMap { graph.nodes[$0.node].input(1 - $0.slot) })
  }

  /// Adds nodes and what they are computed from, back to the stream.
  private func collect(_ nodes: [Int], stoppingAt stops: Set<ValueID>, into wanted: inout Set<Int>) {
    var open = nodes
    while let index = open.popLast() {
      guard wanted.insert(index).inserted else { continue }
      for case let input? in graph.nodes[index].inputs where !stops.contains(input) {
        guard let producer = producers[input], !isSum(graph.nodes[producer]) || nodes.contains(producer) else {
          continue
        }
        open.append(producer)
      }
    }
  }

  private func isComputed(_ id: ValueID) -> Bool { graph[id].initializer == nil && !map.constants.contains(id) }

  /// Whether a value is computed and no extent or index.
  private func isComputedNumber(_ id: ValueID) -> Bool {
    isComputed(id) && (graph[id].type?.element.isFloatingPoint ?? true)
  }

  /// Whether a node adds two computed values of one shape, neither of which is repeated along an axis.
  private func isSum(_ node: Node) -> Bool {
    guard node.op == OperatorName("Add"), let a = node.input(0), let b = node.input(1), let sum = node.outputs[0],
      a != b, isComputed(a), isComputed(b), let shape = graph[sum].type?.shape
    else { return false }
    return graph[a].type?.shape == shape && graph[b].type?.shape == shape
  }
}
