import ModelGraph

extension CompactionPlan {
  /// Lets constant units go whose sums have a place for what they contribute, if the request folds.
  ///
  /// - Returns: what stays, and why, in sentences.
  static func constantsThatStay(
    _ candidates: inout [Candidates], _ map: DimensionMap, _ request: CompactionRequest
  ) -> [String] {
    guard request.folds else { return [] }
    var reasons: [(obstacle: FoldObstacle, kind: String, units: Int, layers: [Int])] = []
    func note(_ obstacle: FoldObstacle, _ kind: String, _ count: Int, _ layer: Int) {
      if let place = reasons.firstIndex(where: { $0.obstacle == obstacle && $0.kind == kind }) {
        reasons[place].units += count
        reasons[place].layers.append(layer)
      } else {
        reasons.append((obstacle, kind, count, [layer]))
      }
    }
    func removed(
      _ units: [Int: String], _ set: UnitSet, isPacked: Bool, _ kind: String, _ layer: Int
    ) -> [RemovedUnit] {
      if units.isEmpty { return [] }
      if isPacked, !request.requantizes {
        note(.packed, kind, units.count, layer)
        return []
      }
      if case .failure(let found) = map.foldTargets(of: set, addsBiases: request.addsBiases) {
        note(found.obstacle, kind, units.count, layer)
        return []
      }
      return units.map { RemovedUnit(index: $0.key, reason: .constant, rule: $0.value) }
    }
    for (index, layer) in map.layers.enumerated() where candidates.indices.contains(index) {
      if let heads = layer.heads {
        for unit in removed(
          candidates[index].constantHeads, .heads(heads), isPacked: heads.blocks != nil, "head", layer.index)
        { candidates[index].heads[unit.index] = unit }
      }
      if let neurons = layer.neurons {
        for unit in removed(
          candidates[index].constantNeurons, .single(neurons), isPacked: layer.neuronBlocks != nil, "neuron",
          layer.index)
        { candidates[index].neurons[unit.index] = unit }
      }
    }
    return reasons.map { reason in
      let units =
        reason.units == 1 ? "1 constant \(reason.kind) stays" : "\(reason.units) constant \(reason.kind)s stay"
      let layers = Array(Set(reason.layers)).sorted().map(String.init).joined(separator: ", ")
      return "\(units) in layer\(reason.layers.count == 1 ? "" : "s") \(layers): \(reason.obstacle.text)"
    }
  }
}

extension SetVerdicts {
  /// The rules of the units that contribute a constant, without some.
  func constantRules(without units: Set<Int>) -> [Int: String] {
    var result: [Int: String] = [:]
    for (unit, verdict) in self.units where !units.contains(unit) {
      if case .constant(let rule) = verdict { result[unit] = rule }
    }
    return result
  }
}
