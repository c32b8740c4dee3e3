import ModelGraph
import TensorStorage

extension Graph {
  /// Pairs of uses of one initializer in the two branches of a conditional: the first use in one with the first in the other, and so on.
  ///
  /// A decoder that is exported with and without a cache holds its weights once and its nodes twice. What a layer loses in one branch it loses
  /// in the other, or the weights would be stored twice. Where the branches use an initializer unequally often nothing is paired.
  func usesInOppositeBranches() -> [(NodeSlot, NodeSlot)] {
    if regions.isEmpty { return [] }
    struct Side: Hashable {
      var condition: ValueID
      var parent: Int?
    }
    var pairs: [(NodeSlot, NodeSlot)] = []
    for (value, places) in uses.sorted(by: { $0.key < $1.key }) {
      guard let weight = self[value].initializer, weight.type.isFloatingPoint || weight.shape.rank > 1,
        weight.shape.rank > 0
      else { continue }
      var sides: [Side: (then: [NodeSlot], otherwise: [NodeSlot])] = [:]
      var order: [Side] = []
      for place in places {
        guard let index = nodes[place.node].region, regions.indices.contains(index) else { continue }
        let side = Side(condition: regions[index].condition, parent: regions[index].parent)
        if sides[side] == nil { order.append(side) }
        if regions[index].runsWhen {
          sides[side, default: ([], [])].then.append(place)
        } else {
          sides[side, default: ([], [])].otherwise.append(place)
        }
      }
      for case let (then, otherwise)? in order.map({ sides[$0] }) where then.count == otherwise.count {
        pairs += zip(then, otherwise)
      }
    }
    return pairs
  }
}
