import ModelGraph

/// Whether one loader opens the smaller model as it is written, and why or why not.
public struct LoaderVerdict: Sendable, Hashable {
  /// The loader's name.
  public var name: String
  /// Whether it opens the model; nil when nothing is known.
  public var loads: Bool?
  /// The reason and what would help, as a sentence without a full stop; may be empty when it loads.
  public var reason: String
}

extension LoaderRules {
  /// One verdict for each loader, in the order of the rules.
  ///
  /// - Parameter carrier: the class the model is written for; nil for the original's own.
  func verdicts(on layers: [LayerPlan], writtenAs carrier: String?) -> [LoaderVerdict] {
    var names: [String] = []
    for row in rows where !names.contains(row.loader) { names.append(row.loader) }
    return names.compactMap { name in
      let choices = rows.filter { $0.loader == name }
      guard let row = choices.first(where: { $0.carrier == carrier }) ?? choices.first else { return nil }
      var reasons = row.objections(to: layers)
      let loads = reasons.isEmpty ? row.opens : false
      if loads != true, !row.remark.isEmpty { reasons.append(row.remark) }
      let other = choices.first { $0.carrier != nil && $0.carrier != carrier && $0.accepts(layers) }
      if loads != true, let other = other?.carrier, !row.remark.contains("--retarget") {
        reasons.append("--retarget writes the same function as \(other), which it takes")
      }
      return LoaderVerdict(name: name, loads: loads, reason: reasons.joined(separator: "; "))
    }
  }

  /// The class that most loaders accept, as one of its rows that does; of equals the first, which is the original's own.
  func mostAccepted(_ layers: [LayerPlan]) -> LoaderRule? {
    let accepting = rows.filter { $0.accepts(layers) }
    var best: (row: LoaderRule, count: Int)?
    for row in accepting {
      let count = accepting.count { $0.carrier == row.carrier }
      if best.map({ count > $0.count }) ?? true { best = (row, count) }
    }
    return best?.row
  }
}

extension LoaderRule {
  /// Whether the loader is known to open a model with planned counts.
  func accepts(_ layers: [LayerPlan]) -> Bool { opens == true && objections(to: layers).isEmpty }

  /// Why planned counts cannot be held.
  func objections(to layers: [LayerPlan]) -> [String] {
    let heads = heads.objection(
      to: layers.map { $0.heads.map { ($0.units.before, $0.units.after, $0.keptGroups.count) } }, "head")
    let unlike = self.heads == .uniformAlike ? Self.unlikeHeads(layers) : nil
    let neurons = feedForward.objection(
      to: layers.filter { $0.neurons != nil || !$0.isFurtherBlock }.map { $0.neurons.map { ($0.before, $0.after, 0) } },
      "feed-forward")
    return [heads ?? unlike, neurons].compactMap { $0 }
  }

  /// Why kept heads cannot be held where the layers of a stack must keep the same; nil when they do.
  private static func unlikeHeads(_ layers: [LayerPlan]) -> String? {
    let stacks = Dictionary(grouping: layers.filter { !$0.isFurtherBlock }, by: \.stack).values
    let isAlike = stacks.allSatisfy { stack in
      stack.allSatisfy { $0.heads?.units.kept == stack[0].heads?.units.kept }
    }
    return isAlike ? nil : "it needs the same heads in every layer of a stack"
  }
}

extension CountCapability {
  /// Why counts (before, after, groups) by layer cannot be held; nil when they can. Layers without the units count as unchanged.
  fileprivate func objection(to counts: [(before: Int, after: Int, groups: Int)?], _ name: String) -> String? {
    let present = counts.compactMap { $0 }
    guard let first = present.first else { return nil }
    let isChanged = present.contains { $0.before != $0.after }
    switch self {
    case .perLayer: return nil
    case .fixed: return isChanged ? "it cannot hold another \(name) count than the original's" : nil
    case .uniform, .uniformAlike, .uniformDividing:
      // The original itself may differ from layer to layer, as a ragged compaction leaves it.
      guard present.allSatisfy({ $0.after == first.after && $0.groups == first.groups }),
        !isChanged || present.count == counts.count
      else { return "it needs one \(name) count in all layers" }
      if case .uniformDividing(let total) = self, total % first.after != 0 {
        return "it needs a \(name) count that divides \(total)"
      }
      return nil
    }
  }
}
