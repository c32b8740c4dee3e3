import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// What becomes of the constants of a file when a changed graph is written: which stay as the file has them, which get new content under
/// their name, which are new.
struct ONNXConstantPlan {
  /// Constants of the file that the changed graph uses as they are, with those that they are made of.
  private(set) var unchanged: Set<Int> = []
  /// Constants of the file that get other content and keep their name.
  private(set) var replaced: [Int: Weight] = [:]
  /// Constants that are written under new names, in the order of their first use.
  private(set) var added: [(id: ValueID, weight: Weight)] = []
  /// Values that are written under the name of another with the same content.
  private(set) var aliases: [ValueID: ValueID] = [:]
  /// Constants that were used before.
  private let usedBefore: Set<Int>

  init(_ model: ImportedONNXModel, _ graph: Graph) {
    usedBefore = Self.closure(model.graph.usedConstants.map { model.fileValues[$0.index] }, model.values)
    var kept: [Int] = []
    var changed: [(id: ValueID, weight: Weight)] = []
    for id in graph.usedConstants {
      guard let weight = graph[id].initializer else { continue }
      if id.index < model.fileValues.count, model.graph[id].initializer == weight {
        kept.append(model.fileValues[id.index])
      } else {
        changed.append((id, weight))
      }
    }
    unchanged = Self.closure(kept, model.values)
    let results = Set(graph.outputs).union(graph.branchResults)
    var known: [StructuralIdentity: ValueID] = [:]
    for (id, weight) in changed {
      if !results.contains(id) {
        if let same = known[weight.structuralIdentity] {
          aliases[id] = same
          continue
        }
        // What branches define cannot be seen outside of them.
        let isVisible = id.index >= model.fileValues.count || model.values[model.fileValues[id.index]].container == 0
        if isVisible { known[weight.structuralIdentity] = id }
      }
      if id.index < model.fileValues.count, !unchanged.contains(model.fileValues[id.index]) {
        replaced[model.fileValues[id.index]] = weight
      } else {
        added.append((id, weight))
      }
    }
  }

  /// Whether a constant is written as the file has it: it is used, or never was.
  func keeps(_ index: Int) -> Bool {
    unchanged.contains(index) || (!usedBefore.contains(index) && replaced[index] == nil)
  }

  /// Constants and those that they are made of.
  private static func closure(_ start: [Int], _ values: [ONNXFileValue]) -> Set<Int> {
    var result: Set<Int> = []
    var pending = start
    while let index = pending.popLast() {
      if result.insert(index).inserted { pending += values[index].operands }
    }
    return result
  }
}

extension Graph {
  /// The initializers that nodes use or that are outputs, in the order of their first use.
  var usedConstants: [ValueID] {
    var seen: Set<ValueID> = []
    return (nodes.flatMap { $0.inputs.compactMap { $0 } } + outputs).filter {
      self[$0].initializer != nil && seen.insert($0).inserted
    }
  }

  /// The values that branches hand to their conditionals.
  var branchResults: Set<ValueID> {
    Set(nodes.lazy.filter { $0.op == OperatorName("If") }.flatMap { $0.inputs.dropFirst().compactMap { $0 } })
  }
}
