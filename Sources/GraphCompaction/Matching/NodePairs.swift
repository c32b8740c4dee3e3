import ModelGraph
import PollardBase

/// Which node of a smaller graph is which of the original.
///
/// A compaction leaves the nodes that compute with the model's numbers as they are and replaces some that compute shapes. So nodes are paired
/// in order, where the graphs differ without those that give integers alone and those that only select from a computed value by a list.
struct NodePairs {
  /// The index in the smaller graph by that in the original.
  let table: [Int: Int]

  /// - Throws: `noMatch` when the nodes that are paired are not applications of the same operators.
  init(_ original: Graph, _ small: Graph) throws(CompactionError) {
    func same(_ a: [Int], _ b: [Int]) -> Bool {
      a.count == b.count
        && zip(a, b).allSatisfy {
          original.nodes[$0].op == small.nodes[$1].op && original.nodes[$0].inputs.count == small.nodes[$1].inputs.count
        }
    }
    var left = Array(original.nodes.indices)
    var right = Array(small.nodes.indices)
    if !same(left, right) {
      left = original.nodesOfNumbers
      right = small.nodesOfNumbers
    }
    guard same(left, right) else {
      throw CompactionError(
        .noMatch, expected: "the same \(left.count) nodes", found: "\(right.count) nodes, or others")
    }
    table = Dictionary(uniqueKeysWithValues: zip(left, right))
  }
}

extension Graph {
  /// The nodes that compute floating-point numbers, without those that select positions of a computed value by a constant list.
  fileprivate var nodesOfNumbers: [Int] {
    nodes.indices.filter { index in
      let node = nodes[index]
      if node.op.name == "Gather", let list = node.input(1).flatMap({ self[$0].initializer }), list.shape.rank == 1,
        node.input(0).map({ self[$0].initializer == nil }) ?? false
      {
        return false
      }
      return node.outputs.contains { $0.flatMap { self[$0].type?.element.isFloatingPoint } ?? false }
    }
  }
}
