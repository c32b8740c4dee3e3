import PollardBase
import TensorStorage

/// One symbolic token through the graph, carrying only what is certainly zero or constant.
///
/// The verdicts hold for every input for which the model's activations are finite.
public struct ZeroAnalysis: Sendable {
  /// Which terms of each contraction can contribute.
  public private(set) var contractions: [ContractionTerms] = []
  /// The states of the values asked for, as far as anything is known about them.
  public private(set) var states: [ValueID: TokenState] = [:]

  /// Interprets a graph whose types are inferred.
  ///
  /// Each weight of a node in `nodes` is streamed once; other nodes' results are unknown and nothing is read for them. The states of values
  /// are dropped after their last use.
  ///
  /// - Parameters:
  ///   - nodes: the nodes whose weights are looked at; nil for all.
  ///   - unknownResults: nodes whose results are taken as unknown, whatever is found out about them.
  ///   - keeping: the values whose states are wanted afterwards.
  /// - Throws: errors of reading the weights.
  public init(
    _ graph: Graph, nodes: Set<Int>? = nil, unknownResults: Set<Int> = [], keeping: Set<ValueID> = [], pool: ThreadPool
  ) throws(FormatError) {
    var lastUse: [ValueID: Int] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for case let input? in node.inputs { lastUse[input] = index }
    }
    var copy = graph
    let integers = (try? ShapeInference.inferAll(&copy))?.integers ?? [:]
    var known: [ValueID: TokenState] = [:]
    var centred: [ValueID: CentredState] = [:]
    var weights: [ValueID: Weight] = [:]
    for (index, node) in graph.nodes.enumerated() {
      var context = ZeroContext(
        node: node, index: index, graph: graph, known: known, integers: integers,
        centredStates: centred, computedWeights: weights, pool: pool,
        readsWeights: nodes?.contains(index) ?? true, wantsResults: !unknownResults.contains(index))
      known = [:]
      try OperatorRegistry.find(node.op).propagate(&context)
      known = context.known
      contractions += context.contractions
      for case let input? in node.inputs where lastUse[input] == index && !keeping.contains(input) {
        known[input] = nil
      }
      if unknownResults.contains(index) { continue }
      centred.merge(context.newCentred) { _, new in new }
      weights.merge(context.newWeights) { _, new in new }
      for (slot, state) in context.results {
        guard let id = node.outputs[slot], context.resultShape(slot) == state.shape else { continue }
        if lastUse[id] != nil || keeping.contains(id) { known[id] = state }
      }
    }
    states = known.filter { keeping.contains($0.key) }
  }
}
