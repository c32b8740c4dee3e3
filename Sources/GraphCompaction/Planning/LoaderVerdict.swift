import ModelGraph

/// Whether one loader opens the smaller model, and why or why not.
public struct LoaderVerdict: Sendable, Hashable {
  /// The loader's name.
  public var name: String
  /// The class under which it would, where that is not the original's.
  public var carrier: String?
  /// Whether it opens the model as planned; nil when nothing is known.
  public var loads: Bool?
  /// The reason, as a sentence without a full stop; may be empty when it loads.
  public var reason: String
}

extension LoaderRule {
  /// What the loader makes of planned counts.
  func verdict(on layers: [LayerPlan], isChosen: Bool) -> LoaderVerdict {
    let heads = heads.objection(
      to: layers.map { $0.heads.map { ($0.units.before, $0.units.after, $0.keptGroups.count) } }, "head")
    let neurons = feedForward.objection(
      to: layers.map { $0.neurons.map { ($0.before, $0.after, 0) } }, "feed-forward")
    let objections = [heads, neurons].compactMap { $0 }
    var loads: Bool? = opens
    var reasons = objections
    if !objections.isEmpty { loads = false }
    if carrier != nil, !isChosen, loads != false {
      loads = false
      reasons.append("would load as \(carrier ?? "") with --retarget")
    }
    if loads != true, !remark.isEmpty { reasons.append(remark) }
    return LoaderVerdict(name: loader, carrier: carrier, loads: loads, reason: reasons.joined(separator: "; "))
  }
}

extension CountCapability {
  /// Why counts (before, after, groups) by layer cannot be held; nil when they can. Layers without the units count as unchanged.
  fileprivate func objection(to counts: [(before: Int, after: Int, groups: Int)?], _ name: String) -> String? {
    let present = counts.compactMap { $0 }
    guard present.contains(where: { $0.before != $0.after }) else { return nil }
    switch self {
    case .perLayer: return nil
    case .fixed: return "it cannot hold another \(name) count than the original's"
    case .uniform, .uniformDividing:
      guard let first = present.first, present.count == counts.count,
        present.allSatisfy({ $0.after == first.after && $0.groups == first.groups })
      else { return "it needs one \(name) count in all layers" }
      if case .uniformDividing(let total) = self, total % first.after != 0 {
        return "it needs a \(name) count that divides \(total)"
      }
      return nil
    }
  }
}
