import ModelGraph
import PollardBase
import TensorStorage

/// Where a plan puts the zeros that keep fill from contributing.
public enum FillSilencing: Sendable, Hashable {
  /// In the weights that read the units; in those that make them where the readers are packed in blocks of which the zeros would fill a part.
  ///
  /// This is what is written: packed readers stay the blocks they were.
  case storable
  /// In the weights that read the units, whatever they are packed in; so the masked original is defined.
  case readers
}

/// Units whose makers are zero, so that nothing reaches what reads them.
struct SilencedUnits {
  var set: UnitSet
  var units: Set<Int>
  var subject: DiagnosticSubject
}

extension UnitPlan {
  /// The units of fill that are silenced by what makes them, when what stays is whole runs of a block: those in runs that are not all fill.
  ///
  /// Where the cut itself goes through blocks the readers are rounded anew in any case, and zeros go there.
  func silencedByMakers(_ blocks: UnitBlocks?) -> Set<Int> {
    guard let blocks, !padded.isEmpty, blocks.cut(by: kept).isEmpty else { return [] }
    return Set(blocks.cut(by: padded))
  }
}

extension HeadPlan {
  /// The heads of fill that are silenced by what makes them: only whole groups can be, as their queries share keys and values.
  func silencedByMakers(_ heads: HeadUnits) -> Set<Int> {
    let ratio = heads.queriesPerGroup
    var blocks = heads.blocks
    blocks?.count = HeadBlocks(heads).headRun
    let silenced = units.silencedByMakers(blocks)
    let isWhole = silenced.allSatisfy { head in
      (0..<ratio).allSatisfy { silenced.contains(head / ratio * ratio + $0) }
    }
    return isWhole ? silenced : []
  }
}

/// The constant operands that make some units, and the nodes between them and the sums over the units.
struct UnitMakers {
  private(set) var uses: [WeightUse] = []
  private(set) var nodes: Set<Int> = []
  /// The values that are summed over.
  private(set) var activations: [ValueID] = []

  /// The operand that gives what attention averages; shares of zeros are zero, whatever the scores are.
  private static let values: [String: Int] = ["Attention": 2, "GroupQueryAttention": 2, "MultiHeadAttention": 2]

  init(_ set: UnitSet, in map: DimensionMap) {
    let table = map.relations.table
    let factors = Set(set.dimensions.map(\.factor))
    let producers = map.graph.producers
    func carries(_ axis: Axis) -> Bool { axis.flatMap(table.leaves).contains(where: factors.contains) }
    activations = set.contractions.compactMap { map.activation($0)?.value }
    var open = activations
    while let value = open.popLast() {
      guard let index = producers[value], nodes.insert(index).inserted else { continue }
      let node = map.graph.nodes[index]
      let computed = node.inputs.indices.filter { slot in
        !map.isConstant(NodeSlot(node: index, slot: slot))
          && (node.input(slot).flatMap { map.axes($0) } ?? []).contains(where: carries)
      }
      var slots = Array(node.inputs.indices)
      if let place = Self.values[node.op.name], computed.contains(place) {
        slots = [place]
      } else if node.op.name == "MatMul", computed == [0, 1] {
        slots = [1]
      }
      for slot in slots {
        let place = NodeSlot(node: index, slot: slot)
        if let axes = map.relations.operandAxes[place] {
          for (axis, factors) in axes.enumerated() where carries(factors) {
            uses.append(WeightUse(slot: place, axis: axis))
          }
        } else if let input = node.input(slot), (map.axes(input) ?? []).contains(where: carries) {
          open.append(input)
        }
      }
    }
  }
}

extension CompactionPlan {
  /// The units of fill that are silenced by what makes them, in each place.
  func silencedByMakers(in map: DimensionMap) -> [SilencedUnits] {
    var result: [SilencedUnits] = []
    func add(_ set: UnitSet, _ units: Set<Int>, _ subject: DiagnosticSubject) {
      if !units.isEmpty { result.append(SilencedUnits(set: set, units: units, subject: subject)) }
    }
    for (layer, plan) in zip(map.layers, layers) {
      if let heads = layer.heads, let units = plan.heads {
        add(.heads(heads), units.silencedByMakers(heads), .layer(layer.index))
      }
      if let neurons = layer.neurons, let units = plan.neurons {
        add(.single(neurons), units.silencedByMakers(layer.neuronBlocks), .layer(layer.index))
      }
    }
    for plan in dimensions {
      guard let units = map.others.first(where: { $0.name == plan.name }) else { continue }
      add(.single(units.dimension), plan.units.silencedByMakers(units.blocks), .tensor(plan.name))
    }
    return result
  }
}

extension DimensionMap {
  /// Zeros in the weights that make units.
  func makerChanges(_ changes: inout [NodeSlot: [WeightChange]], of set: UnitSet, zeroing units: Set<Int>) {
    let table = relations.table
    for use in UnitMakers(set, in: self).uses {
      guard let axis = relations.operandAxes[use.slot]?[use.axis] else { continue }
      let zeroed = positions(of: units, in: set, along: axis, table)
      if zeroed.isEmpty { continue }
      let change = WeightChange(axis: use.axis, zeroed: zeroed)
      if !(changes[use.slot] ?? []).contains(change) { changes[use.slot, default: []].append(change) }
    }
  }

  /// The positions of units along an axis; of heads along an axis that counts groups alone, those of the groups.
  private func positions(of units: Set<Int>, in set: UnitSet, along axis: Axis, _ table: FactorTable) -> [Int] {
    if let owners = set.units(along: axis, table), owners.contains(where: { $0 >= 0 }) {
      return owners.indices.filter { units.contains(owners[$0]) }
    }
    guard case .heads(let heads) = set, let groups = heads.groups,
      let owners = table.coordinates(of: groups.factor, in: axis)
    else { return [] }
    let silent = Set(units.map { $0 / heads.queriesPerGroup })
    return owners.indices.filter { silent.contains(owners[$0]) }
  }

  /// Proves that units whose makers are zero are zero where they are summed over, for every input, by the zero rules of the operators between.
  ///
  /// What the units are computed from, and the scores by which attention averages them, is taken as finite and unknown. No weight but the zeros
  /// is read.
  ///
  /// - Throws: `notSilenced` where it is not so.
  func requireSilent(_ silenced: [SilencedUnits]) throws(CompactionError) {
    if silenced.isEmpty { return }
    var keep = KeepTable()
    var changes: [NodeSlot: [WeightChange]] = [:]
    var nodes: Set<Int> = []
    var activations: [[ValueID]] = []
    for entry in silenced {
      switch entry.set {
      case .heads(let heads):
        if let groups = heads.groups {
          keep.kept[groups.factor] = Set(entry.units.map { $0 / heads.queriesPerGroup }).sorted()
        }
      case .single(let dimension): keep.kept[dimension.factor] = entry.units.sorted()
      }
      makerChanges(&changes, of: entry.set, zeroing: entry.units)
      let makers = UnitMakers(entry.set, in: self)
      nodes.formUnion(makers.nodes)
      activations.append(makers.activations)
    }
    var rewriter = GraphRewriter(self, keep: keep, changes: changes)
    rewriter.keepsEveryNode = true
    let small = try rewriter.rewritten()
    let numbers = NodeNumbers(graph, small)
    let analysis: ZeroAnalysis
    do throws(FormatError) {
      analysis = try ZeroAnalysis(
        small, nodes: numbers.after(nodes), keeping: Set(activations.joined()), pool: ThreadPool(threadCount: 1))
    } catch {
      throw CompactionError(.notSilenced, found: "a constant that cannot be read: \(error)")
    }
    for (entry, values) in zip(silenced, activations) {
      if !values.isEmpty, values.allSatisfy({ analysis.states[$0]?.worst == .zero }) { continue }
      throw CompactionError(
        .notSilenced, subject: entry.subject, expected: "units that are zero when the weights that make them are",
        found: "operators of which that is not certain, such as an activation that is not zero at zero",
        remedy: "choose a mask that removes whole blocks of units")
    }
  }
}
