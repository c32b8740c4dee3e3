import GraphCompaction
import GraphExecution
import ModelGraph
import PollardBase
import TensorStorage

/// Runs a model without single units, computing what comes before them once.
///
/// Taking a unit out means that the weights that read it are zero, as `DimensionMap.maskedGraph(_:)` writes it. A sum over products is the same to
/// the bit when the other factor is zero instead, so the unit's activation is zeroed and only what depends on it runs: no weight changes, and
/// matrices stay packed. Where the units are read by something else, or an activation is not finite, the masked graph runs as a whole.
package final class LeaveOneOut {
  /// The outputs that are looked at, as the whole model gives them: those of floating-point numbers, caches left out where there are others.
  package let reference: [ValueID: Tensor]

  private let map: DimensionMap
  private let inputs: [String: Tensor]
  private let pool: ThreadPool
  private let executor: GraphExecutor
  /// The activations of the units that are next, and all else that what follows reads.
  private var known: [ValueID: Tensor] = [:]

  /// Plans the model and runs it once.
  ///
  /// - Throws: what running the graph throws.
  package init(map: DimensionMap, inputs: [String: Tensor], pool: ThreadPool) throws {
    self.map = map
    self.inputs = inputs
    self.pool = pool
    executor = try GraphExecutor(map.graph, threads: pool)
    let graph = map.graph
    let numbers = graph.outputs.filter { graph[$0].type?.element.isFloatingPoint ?? true }
    let others = numbers.filter { !Self.isCache(graph[$0].name) }
    reference = try executor.values(of: Set(others.isEmpty ? numbers : others), inputs: inputs)
      .filter { $0.value.type == .f32 || $0.value.type == .f64 }
  }

  private static func isCache(_ name: String) -> Bool {
    name.hasPrefix("present") || name.contains("past_key_values") || name.hasSuffix("_past")
  }

  /// The sets in the order in which the model sums over them, so that each continues from the one before.
  func order(_ sets: [ScoredSet]) -> [ScoredSet] {
    func place(_ set: ScoredSet) -> Int { set.set.contractions.map(\.node).min() ?? 0 }
    return sets.enumerated().sorted { (place($0.element), $0.offset) < (place($1.element), $1.offset) }.map(\.element)
  }

  /// Gives the outputs without each of some ranges of units, in their order.
  ///
  /// - Throws: what running the graph throws; errors of masks where packed weights cannot be masked.
  package func outputs(
    of set: UnitSet, without ranges: [Range<Int>], _ body: ([ValueID: Tensor]) throws -> Void
  ) throws {
    guard let sums = map.sums(of: set), try advance(to: Set(sums.map(\.activation))) else {
      for units in ranges { try body(masked(set, units)) }
      return
    }
    for units in ranges {
      var given = known
      var isFinite = true
      for sum in sums {
        guard let tensor = known[sum.activation] else { continue }
        guard tensor.type == .f32, tensor.extents.indices.contains(sum.axis),
          tensor.extents[sum.axis] == sum.owners.units.count
        else {
          isFinite = false
          continue
        }
        let zeroed = tensor.zeroing(along: sum.axis) { units.contains(sum.owners.units[$0]) }
        isFinite = isFinite && zeroed.wasFinite
        given[sum.activation] = zeroed.tensor
      }
      try body(
        isFinite ? executor.values(of: Set(reference.keys), inputs: inputs, given: given) : masked(set, units))
    }
  }

  /// Computes some activations, and everything else that is read by what depends on them.
  ///
  /// - Returns: false, with nothing computed, where one of them depends on another, as where layers share their weights.
  private func advance(to activations: Set<ValueID>) throws -> Bool {
    let graph = map.graph
    var dependent = activations
    var read: Set<ValueID> = []
    for node in graph.nodes {
      var operands = Set(node.inputs.compactMap { $0 })
      var region = node.region
      while let index = region, graph.regions.indices.contains(index) {
        operands.insert(graph.regions[index].condition)
        region = graph.regions[index].parent
      }
      guard !operands.isDisjoint(with: dependent) else { continue }
      let results = node.outputs.compactMap { $0 }
      if !activations.isDisjoint(with: results) { return false }
      read.formUnion(operands)
      dependent.formUnion(results)
    }
    let outside = Set(graph.inputs)
    let wanted = read.union(reference.keys).subtracting(dependent).union(activations).filter {
      graph[$0].initializer == nil && !outside.contains($0)
    }
    known = try executor.values(of: wanted, inputs: inputs, given: known)
    return true
  }

  /// The outputs of the masked model as a whole.
  package func masked(_ set: UnitSet, _ units: Range<Int>) throws -> [ValueID: Tensor] {
    let graph = try map.maskedGraph(zeroing: Set(units), of: set)
    return try GraphExecutor(graph, threads: pool, weights: .streamed).values(of: Set(reference.keys), inputs: inputs)
  }
}
