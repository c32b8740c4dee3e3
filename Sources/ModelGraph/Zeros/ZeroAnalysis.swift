import PollardBase
import TensorStorage

/// One symbolic token through the graph, carrying only what is certainly zero or constant.
///
/// The verdicts hold for every input for which the model's activations are finite.
public struct ZeroAnalysis: Sendable {
  /// Which terms of each contraction can contribute.
  public private(set) var contractions: [ContractionTerms] = []
  /// The states of the values reached.
  public private(set) var states: [ValueID: TokenState] = [:]

  /// Interprets a graph whose types are inferred.
  ///
  /// Each weight of a node in `nodes` is streamed once; other nodes' results are unknown and nothing is read for them.
  ///
  /// - Parameters:
  ///   - nodes: the nodes whose weights are looked at; nil for all.
  ///   - weights: what to take instead of the content of an operand, by use.
  /// - Throws: errors of reading the weights.
  public init(
    _ graph: Graph, nodes: Set<Int>? = nil, pool: ThreadPool, weights: @escaping (NodeSlot) -> Weight? = { _ in nil }
  ) throws(FormatError) {
    for (index, node) in graph.nodes.enumerated() {
      var context = ZeroContext(
        node: node, index: index, graph: graph, known: states, pool: pool, readsWeights: nodes?.contains(index) ?? true,
        weightOverride: weights)
      try OperatorRegistry.find(node.op).propagate(&context)
      for (slot, state) in context.results {
        if let id = node.outputs[slot], context.resultShape(slot) == state.shape { states[id] = state }
      }
      contractions += context.contractions
    }
  }
}
