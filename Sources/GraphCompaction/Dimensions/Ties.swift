import ModelGraph
import PollardBase

/// A node, put in by the map, that reads a shared table through a list of the positions of one reader.
struct TieReader: Sendable {
  /// The node's index.
  var node: Int
  /// The shared value.
  var table: ValueID
  /// The axis the readers have in common.
  var axis: Int
}

/// Gives every reader of a shared activation an axis of its own, where the axis ties units of several layers together.
struct TieLoosening {
  let map: DimensionMap

  init(_ map: DimensionMap) { self.map = map }

  func loosened() throws(GraphError) -> DimensionMap? { nil }
}

extension GraphRewriter {
  /// Writes the lists through which loosened readers read.
  mutating func rewriteTies() throws(CompactionError) {}
}
