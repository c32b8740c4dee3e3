/// A graph that a node runs, any number of times: the body of a `Loop`, a `Scan` or a `SequenceMap`.
///
/// The node's operands after its own are the values around it that the body reads; `captures` says which stands for which of the body's
/// inputs. The same graph is also among the node's attributes, as bytes, which is what a writer copies.
public struct NodeBody: Sendable {
  /// The name of the attribute that holds it.
  public var attribute: String
  /// The body. Its inputs are the parameters in order, then one for each captured value; none has a type.
  public var graph: Graph
  /// How many operands the node itself has, before the captured values.
  public var operandCount: Int
  /// The declared type of each parameter, nil where none is.
  public var parameterTypes: [ValueType?]
  /// The operand slot of the node for each captured value.
  public var captures: [Int]
  /// The declared type of each result, nil where none is; it matters where the body never runs.
  public var resultTypes: [ValueType?]

  /// Creates a body.
  ///
  /// - Precondition: the graph has an input for each parameter and each captured value.
  public init(
    attribute: String, graph: Graph, operandCount: Int, parameterTypes: [ValueType?], captures: [Int] = [],
    resultTypes: [ValueType?] = []
  ) {
    precondition(graph.inputs.count == parameterTypes.count + captures.count, "a body's inputs are its operands")
    self.attribute = attribute
    self.graph = graph
    self.operandCount = operandCount
    self.parameterTypes = parameterTypes
    self.captures = captures
    self.resultTypes = resultTypes
  }
}
