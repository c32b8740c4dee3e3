import ModelGraph
import PollardBase
import TensorStorage

/// Whether two graphs are the same computation apart from the content of their checkpoint tensors.
public enum GraphComparison: Sendable {
  /// They are; each value of the first with its counterpart in the second.
  case same(pairs: [ValueID: ValueID])
  /// They are not; the first difference, as a sentence.
  case different(String)
  /// They are, but for the content of a constant; which one, as a sentence.
  case otherConstant(String)

  /// Compares operators, attributes, wiring, types and constants, in the graphs that nodes run as well.
  ///
  /// Initializers in `checkpointTensors` are compared by type and shape only; all others by content too.
  ///
  /// - Throws: what reading a constant throws.
  /// - Complexity: O(nodes + bytes of constants), in memory bounded by a few chunks.
  public init(_ a: Graph, _ b: Graph, checkpointTensors: Set<String>, pool: ThreadPool = ThreadPool(threadCount: 1))
    throws(FormatError)
  {
    var walk = GraphWalk(a, b, checkpointTensors: checkpointTensors, pool)
    if let difference = try walk.firstDifference() {
      self = .different(difference)
    } else if let constant = walk.otherConstant {
      self = .otherConstant(constant)
    } else {
      self = .same(pairs: walk.paired)
    }
  }
}
