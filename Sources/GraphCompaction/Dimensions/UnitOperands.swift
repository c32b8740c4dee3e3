import ModelGraph
import PollardBase
import TensorStorage

/// Which unit each position of an axis belongs to.
package struct UnitOwners: Sendable, Hashable {
  /// The unit (query head, neuron) of each position; -1 for none.
  package var units: [Int]
  /// The group of each position that belongs to all heads of a group alike, as rows of keys and values do; -1 elsewhere.
  package var groups: [Int]

  /// The positions of a unit, ascending.
  package func positions(of unit: Int) -> [Int] { units.indices.filter { units[$0] == unit } }
}

/// A constant matrix that carries the units of a set along one axis.
package struct UnitMatrix: Sendable {
  /// The operand of the product that the matrix is, as the node reads it.
  package var slot: NodeSlot
  /// The value: an initializer, or what nodes compute from constants.
  package var value: ValueID
  /// The axis that carries the units.
  package var axis: Int
  /// The unit of each position of the axis.
  package var owners: UnitOwners
  /// Whether the product sums over the units.
  package var isReader: Bool
}

/// What a product sums over: the contributions of the units of a set to the rest of the model.
package struct UnitSum: Sendable {
  /// The node.
  package var node: Int
  /// What the units compute.
  package var activation: ValueID
  /// The axis of the activation that carries the units.
  package var axis: Int
  /// The unit of each position of the axis.
  package var owners: UnitOwners
  /// The matrix that reads the units; nil where it is packed within the node.
  package var matrix: UnitMatrix?
}

extension DimensionMap {
  /// Operators that multiply by a constant matrix, and are linear in their first operand.
  private static let products: Set<String> = ["MatMul", "Gemm", "Einsum", "FusedMatMul", "FusedGemm", "MatMulNBits"]

  /// Operators that multiply integers by a constant matrix of integers, and those that hold the projections of an attention.
  private static let otherProducts: Set<String> = [
    "MatMulInteger", "QLinearMatMul", "QGemm", "Attention", "QAttention", "MatMulIntegerToFloat",
    "DynamicQuantizeMatMul",
  ]

  /// The unit of each position of an axis; nil when its extent is not known.
  package func owners(of set: UnitSet, along axis: Axis) -> UnitOwners? {
    let table = relations.table
    guard let units = set.units(along: axis, table) else { return nil }
    var groups = Array(repeating: -1, count: units.count)
    if case .heads(let heads) = set, heads.queries != nil, let shared = heads.groups,
      let places = table.coordinates(of: shared.factor, in: axis)
    {
      for (position, unit) in units.enumerated() where unit < 0 { groups[position] = places[position] }
    }
    return UnitOwners(units: units, groups: groups)
  }

  /// The constant matrices by which products read or make the units of a set, each use once, in the order of the nodes.
  ///
  /// Norms, biases and tables that are looked up are none.
  package func matrices(of set: UnitSet) -> [UnitMatrix] {
    let factors = Set(set.dimensions.map(\.factor))
    let table = relations.table
    var nodes: Set<Int> = []
    for factor in factors { nodes.formUnion(nodesCarrying[factor] ?? []) }
    let readers = Set(set.contractions.map(\.node))
    var result: [UnitMatrix] = []
    for index in nodes.sorted() {
      let node = graph.nodes[index]
      guard Self.products.contains(node.op.name) || Self.otherProducts.contains(node.op.name) else { continue }
      for slot in node.inputs.indices {
        let place = NodeSlot(node: index, slot: slot)
        guard isConstant(place), let value = node.input(slot), let axes = relations.axes(of: place, in: graph),
          axes.count == 2
        else { continue }
        for (axis, parts) in axes.enumerated() where parts.flatMap(table.leaves).contains(where: factors.contains) {
          guard let owners = owners(of: set, along: parts) else { continue }
          let sums = readers.contains(index) && self.sums(set, place, axis)
          result.append(UnitMatrix(slot: place, value: value, axis: axis, owners: owners, isReader: sums))
        }
      }
    }
    return result
  }

  /// Whether a product sums over the units of a set along an axis of an operand.
  private func sums(_ set: UnitSet, _ place: NodeSlot, _ axis: Int) -> Bool {
    set.contractions.contains {
      $0.node == place.node && [$0.left, $0.right].contains(.input(place.slot, axis))
    }
  }

  /// The products that sum over the units of a set, where each is linear in the activation and nothing else reads it.
  ///
  /// Zero in the activation is then zero in the weights that read it, to the bit. Nil where some sum is of another kind.
  package func sums(of set: UnitSet) -> [UnitSum]? {
    let uses = graph.uses
    let matrices = matrices(of: set)
    var result: [UnitSum] = []
    for contraction in set.contractions {
      guard Self.products.contains(graph.nodes[contraction.node].op.name), let (value, axis) = activation(contraction),
        let owners = owners(of: set, along: contraction.axis), !graph.outputs.contains(value)
      else { return nil }
      let matrix = matrices.first { $0.slot.node == contraction.node && $0.isReader }
      result.append(UnitSum(node: contraction.node, activation: value, axis: axis, owners: owners, matrix: matrix))
    }
    let nodes = Set(result.map(\.node))
    let isReadElsewhere = result.contains { sum in
      (uses[sum.activation] ?? []).contains { !nodes.contains($0.node) }
        || graph.regions.contains { $0.condition == sum.activation }
    }
    return result.isEmpty || isReadElsewhere ? nil : result
  }
}
