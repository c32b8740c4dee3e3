import ModelGraph
import PollardBase

/// The units of one layer that may go, and why.
struct Candidates: Sendable {
  var heads: [Int: RemovedUnit] = [:]
  var neurons: [Int: RemovedUnit] = [:]
  var constantHeads: [Int] = []
  var constantNeurons: [Int] = []
  var voidHeads: [Int] = []
  var voidNeurons: [Int] = []
  var headFactors: [Int: Float] = [:]
  var neuronFactors: [Int: Float] = [:]
}

/// Chooses the units each layer keeps so that the counts are what a loader holds.
///
/// Fill is always the removed unit with the lowest index, so that a plan depends on nothing but the request.
struct LayerSelection {
  let layers: [LayerUnits]
  let candidates: [Candidates]
  let roundTo: Int
  let allowsPadding: Bool

  func plans(heads: CountCapability, feedForward: CountCapability) throws(CompactionError) -> [LayerPlan] {
    let headPlans = try selectHeads(heads)
    let neuronPlans = try selectNeurons(feedForward)
    return layers.indices.map {
      LayerPlan(
        index: layers[$0].index, heads: headPlans[$0], neurons: neuronPlans[$0], stack: layers[$0].stack,
        isFurtherBlock: layers[$0].isFurtherBlock)
    }
  }

  // MARK: Heads

  /// The queries kept in each kept group of one layer.
  private struct HeadChoice {
    var groups: [Int]
    var queries: [[Int]]
  }

  private func selectHeads(_ capability: CountCapability) throws(CompactionError) -> [HeadPlan?] {
    let natural = layers.indices.map { index in
      layers[index].heads.map { naturalChoice($0, removable(index, capability)) }
    }
    let target = try headTarget(capability, natural)
    var result: [HeadPlan?] = []
    for (index, layer) in layers.enumerated() {
      guard let heads = layer.heads, let choice = natural[index] else {
        result.append(nil)
        continue
      }
      let counts = target ?? (choice.groups.count, choice.queries.map(\.count).max() ?? 0)
      result.append(try fill(choice, heads, candidates[index], groups: counts.groups, queries: counts.queries, index))
    }
    return result
  }

  /// The heads that may go from a layer; where layers of a stack must be alike, those that go from all of them.
  private func removable(_ index: Int, _ capability: CountCapability) -> [Int: RemovedUnit] {
    let own = candidates[index].heads
    guard capability == .uniformAlike, !layers[index].isFurtherBlock else { return own }
    let others = layers.indices.filter { layers[$0].stack == layers[index].stack }
    return own.filter { head in others.allSatisfy { candidates[$0].heads[head.key] != nil } }
  }

  /// What a layer would keep on its own, without fill inside groups; at least one head.
  private func naturalChoice(_ heads: HeadUnits, _ removed: [Int: RemovedUnit]) -> HeadChoice {
    let ratio = heads.queriesPerGroup
    var groups: [Int] = []
    var queries: [[Int]] = []
    for group in 0..<heads.groupCount {
      let kept = (0..<ratio).filter { removed[group * ratio + $0] == nil }
      if kept.isEmpty { continue }
      groups.append(group)
      queries.append(kept)
    }
    if groups.isEmpty { return HeadChoice(groups: [0], queries: [[0]]) }
    if !heads.allowsDifferentQueries {
      let union = Set(queries.joined()).sorted()
      queries = queries.map { _ in union }
    }
    return HeadChoice(groups: groups, queries: queries)
  }

  /// The counts all layers must have; nil when each has its own.
  private func headTarget(
    _ capability: CountCapability, _ natural: [HeadChoice?]
  ) throws(CompactionError) -> (groups: Int, queries: Int)? {
    if capability == .perLayer { return nil }
    let present = layers.compactMap(\.heads)
    guard let first = present.first else { return nil }
    guard present.allSatisfy({ $0.groupCount == first.groupCount && $0.queriesPerGroup == first.queriesPerGroup })
    else {
      throw CompactionError(
        .layersDiffer, subject: .option("heads"), expected: "one count in all layers",
        found: present.map { "\($0.count)" }.joined(separator: ", "), remedy: "ask for --shape ragged")
    }
    let whole = (groups: first.groupCount, queries: first.queriesPerGroup)
    if capability == .fixed || present.count < layers.count { return whole }
    let needed = natural.compactMap { $0 }
    let groups = needed.map(\.groups.count).max() ?? whole.groups
    let queries = needed.flatMap { $0.queries.map(\.count) }.max() ?? whole.queries
    guard case .uniformDividing(let total) = capability else { return (groups, queries) }
    for count in groups...whole.groups where total % (count * queries) == 0 { return (count, queries) }
    var best = whole
    for count in groups...whole.groups {
      for ratio in queries...whole.queries
      where total % (count * ratio) == 0 && count * ratio < best.groups * best.queries {
        best = (count, ratio)
      }
    }
    return best
  }

  private func fill(
    _ choice: HeadChoice, _ heads: HeadUnits, _ candidates: Candidates, groups: Int, queries: Int, _ layer: Int
  ) throws(CompactionError) -> HeadPlan {
    let ratio = heads.queriesPerGroup
    var kept: [Int: [Int]] = Dictionary(uniqueKeysWithValues: zip(choice.groups, choice.queries))
    for group in 0..<heads.groupCount where kept.count < groups && kept[group] == nil { kept[group] = [] }
    // Where all groups must keep the same queries, fill is taken from the same places as well.
    let common = choice.queries.first ?? []
    for (group, present) in kept {
      var present = Set(heads.allowsDifferentQueries ? present : common)
      for query in 0..<ratio where present.count < queries { present.insert(query) }
      kept[group] = present.sorted()
    }
    let order = kept.keys.sorted()
    let flat = order.flatMap { group in (kept[group] ?? []).map { group * ratio + $0 } }
    let padded = flat.filter { candidates.heads[$0] != nil }
    if !allowsPadding, let first = padded.first {
      if choice.groups.count == groups, Set(choice.queries.map(\.count)).count > 1 {
        throw CompactionError(
          .unevenGroups, subject: .layer(layers[layer].index), expected: "equally many queries in every group",
          found: choice.queries.map { "\($0.count)" }.joined(separator: ", "),
          remedy: "choose a mask that keeps the same number in each group, or allow padding")
      }
      throw CompactionError(
        .paddingNeeded, subject: .layer(layers[layer].index), expected: "\(flat.count) heads to stay",
        found: "\(padded.count) of them asked to go, the first is head \(first)", remedy: Self.remedy)
    }
    let units = UnitPlan(
      before: heads.count, kept: flat, padded: padded,
      removed: candidates.heads.values.filter { !padded.contains($0.index) }.sorted { $0.index < $1.index },
      constant: candidates.constantHeads, void: candidates.voidHeads,
      rescaled: candidates.headFactors)
    return HeadPlan(units: units, groupsBefore: heads.groupCount)
  }

  private static let remedy =
    "allow padding, choose another mask, or ask for --shape ragged and a loader that takes different counts in each layer"

  // MARK: Neurons

  private func selectNeurons(_ capability: CountCapability) throws(CompactionError) -> [UnitPlan?] {
    let needed = layers.indices.map { index in
      layers[index].neurons.map { max(1, $0.size - candidates[index].neurons.count) }
    }
    let target = try neuronTarget(capability, needed.compactMap { $0 })
    var result: [UnitPlan?] = []
    for (index, layer) in layers.enumerated() {
      guard let dimension = layer.neurons, let natural = needed[index] else {
        result.append(nil)
        continue
      }
      let count = target ?? rounded(natural, of: dimension.size)
      result.append(try fill(dimension.size, count, candidates[index], layers[index].index))
    }
    return result
  }

  private func rounded(_ count: Int, of size: Int) -> Int {
    let step = max(1, roundTo)
    let (up, overflow) = count.addingReportingOverflow(step - 1)
    return overflow ? size : min(size, up / step * step)
  }

  private func neuronTarget(_ capability: CountCapability, _ needed: [Int]) throws(CompactionError) -> Int? {
    if capability == .perLayer { return nil }
    let present = layers.compactMap { $0.neurons?.size }
    let expected = layers.count { $0.neurons != nil || !$0.isFurtherBlock }
    guard let whole = present.first else { return nil }
    guard present.allSatisfy({ $0 == whole }) else {
      throw CompactionError(
        .layersDiffer, subject: .option("ffn"), expected: "one count in all layers",
        found: present.map(String.init).joined(separator: ", "), remedy: "ask for --shape ragged")
    }
    if capability == .fixed || present.count < expected { return whole }
    let count = rounded(needed.max() ?? whole, of: whole)
    guard case .uniformDividing(let total) = capability else { return count }
    return (count...whole).first { total % $0 == 0 } ?? whole
  }

  private func fill(
    _ size: Int, _ count: Int, _ candidates: Candidates, _ layer: Int
  ) throws(CompactionError) -> UnitPlan {
    var missing = count - (size - candidates.neurons.count)
    var padded: [Int] = []
    for unit in 0..<size where missing > 0 && candidates.neurons[unit] != nil {
      padded.append(unit)
      missing -= 1
    }
    if !allowsPadding, let first = padded.first {
      throw CompactionError(
        .paddingNeeded, subject: .layer(layer), expected: "\(count) neurons to stay",
        found: "\(padded.count) of them asked to go, the first is neuron \(first)", remedy: Self.remedy)
    }
    let fill = Set(padded)
    let kept = (0..<size).filter { candidates.neurons[$0] == nil || fill.contains($0) }
    return UnitPlan(
      before: size, kept: kept, padded: padded,
      removed: candidates.neurons.values.filter { !fill.contains($0.index) }.sorted { $0.index < $1.index },
      constant: candidates.constantNeurons, void: candidates.voidNeurons, rescaled: candidates.neuronFactors)
  }
}
