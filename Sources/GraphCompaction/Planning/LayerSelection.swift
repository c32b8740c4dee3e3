import ModelGraph
import PollardBase

/// The units of one layer that may go, and why.
struct Candidates: Sendable {
  var heads: [Int: RemovedUnit] = [:]
  var neurons: [Int: RemovedUnit] = [:]
  /// Heads that contribute a constant, with the rule; those that a bias takes up are among `heads` too.
  var constantHeads: [Int: String] = [:]
  /// The same of neurons.
  var constantNeurons: [Int: String] = [:]
  var voidHeads: [Int] = []
  var voidNeurons: [Int] = []
  var headFactors: [Int: Float] = [:]
  var neuronFactors: [Int: Float] = [:]
  /// Declared heads whose readers are not finite: zero times that is not a number, so zero makers do not silence them.
  var unstableHeads: Set<Int> = []
  /// Declared neurons whose readers are not finite.
  var unstableNeurons: Set<Int> = []
}

/// Chooses the units each layer keeps so that the counts are what a loader holds.
///
/// Fill is always the removed unit with the lowest index, so that a plan depends on nothing but the request.
///
/// Where packed weights hold units together, counts are multiples of what must go together, and so is fill beside the units that are held.
struct LayerSelection {
  let layers: [LayerUnits]
  let roundTo: Int
  let allowsPadding: Bool
  let blocks: BlockPolicy
  private var candidates: [Candidates]
  /// The heads of each layer that may leave.
  private var leavingHeads: [[Int: RemovedUnit]] = []
  /// The neurons of each layer that asked to go and are held by blocks.
  private var heldNeurons: [[Int]] = []

  /// - Throws: `cutsThroughBlocks`, `notFinite`.
  init(
    layers: [LayerUnits], candidates: [Candidates], roundTo: Int, allowsPadding: Bool, blocks: BlockPolicy
  ) throws(CompactionError) {
    self.layers = layers
    self.candidates = candidates
    self.roundTo = roundTo
    self.allowsPadding = allowsPadding
    self.blocks = blocks
    for (index, layer) in layers.enumerated() {
      let subject = DiagnosticSubject.layer(layer.index)
      // Nobody asked for units that were found dead: those held by their block just stay.
      if let runs = layer.neuronBlocks, !blocks.hasMask, !blocks.requantizes, !blocks.allowsFill(in: runs) {
        for unit in runs.cut(by: candidates[index].neurons.keys) { self.candidates[index].neurons[unit] = nil }
      }
      let held = try blocks.held(self.candidates[index].neurons, by: layer.neuronBlocks, subject, "neurons")
      if let unit = held.first(where: candidates[index].unstableNeurons.contains) {
        throw CompactionPlan.notFinite("neuron \(unit)", subject)
      }
      heldNeurons.append(held)
      guard let heads = layer.heads else {
        leavingHeads.append([:])
        continue
      }
      let release = try HeadRelease(heads, candidates[index], blocks, layer: layer.index)
      leavingHeads.append(release.leaving)
      for head in release.untouched { self.candidates[index].heads[head] = nil }
    }
  }

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
      let own = (choice.groups.count, choice.queries.map(\.count).max() ?? 0)
      let counts = target ?? rounded(own, of: heads)
      result.append(try fill(choice, heads, candidates[index], groups: counts.groups, queries: counts.queries, index))
    }
    return result
  }

  /// The heads that may go from a layer; where layers of a stack must be alike, those that go from all of them.
  private func removable(_ index: Int, _ capability: CountCapability) -> [Int: RemovedUnit] {
    let own = leavingHeads[index]
    guard capability == .uniformAlike, !layers[index].isFurtherBlock else { return own }
    let others = layers.indices.filter { layers[$0].stack == layers[index].stack }
    return own.filter { head in others.allSatisfy { leavingHeads[$0][head.key] != nil } }
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
    if groups.isEmpty {
      let runs = blocks.requantizes ? nil : HeadBlocks(heads)
      let first = Array(0..<(runs?.groupRun ?? 1))
      return HeadChoice(groups: first, queries: first.map { _ in Array(0..<(runs?.queryRun ?? 1)) })
    }
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
    var divisor = 0
    if case .uniformDividing(let total) = capability { divisor = total }
    func fits(_ groups: Int, _ queries: Int) -> Bool {
      (divisor == 0 || divisor % (groups * queries) == 0) && present.allSatisfy { fillsBlocks(groups, queries, in: $0) }
    }
    for count in groups...whole.groups where fits(count, queries) { return (count, queries) }
    var best = whole
    for count in groups...whole.groups {
      for ratio in queries...whole.queries
      where fits(count, ratio) && count * ratio < best.groups * best.queries {
        best = (count, ratio)
      }
    }
    return best
  }

  /// Whether counts are such that blocks are neither cut nor left unfilled.
  private func fillsBlocks(_ groups: Int, _ queries: Int, in heads: HeadUnits) -> Bool {
    guard let run = heads.blocks?.count else { return true }
    if blocks.requantizes { return groups * queries % run == 0 }
    let runs = HeadBlocks(heads)
    return groups % runs.groupRun == 0 && queries % runs.queryRun == 0
  }

  /// The least counts of a layer that fill blocks.
  private func rounded(_ own: (groups: Int, queries: Int), of heads: HeadUnits) -> (groups: Int, queries: Int) {
    let whole = heads.groupCount
    return (own.groups...whole).first { fillsBlocks($0, own.queries, in: heads) }.map { ($0, own.queries) } ?? own
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
    let padded = flat.filter { candidates.heads[$0].map { $0.reason != .constant } ?? false }
    let staying = Set(flat)
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
      removed: candidates.heads.values.filter { !staying.contains($0.index) }.sorted { $0.index < $1.index },
      constant: candidates.constantHeads.keys.filter(staying.contains).sorted(), void: candidates.voidHeads,
      rescaled: candidates.headFactors
    ).contradicting(candidates.heads.values)
    return HeadPlan(units: units, groupsBefore: heads.groupCount)
  }

  private static let remedy =
    "allow padding, choose another mask, or ask for --shape ragged and a loader that takes different counts in each layer"

  // MARK: Neurons

  private func selectNeurons(_ capability: CountCapability) throws(CompactionError) -> [UnitPlan?] {
    let needed = layers.indices.map { index in
      layers[index].neurons.map { max(1, $0.size - candidates[index].neurons.count + heldNeurons[index].count) }
    }
    let target = try neuronTarget(capability, needed.compactMap { $0 })
    var result: [UnitPlan?] = []
    for (index, layer) in layers.enumerated() {
      guard let dimension = layer.neurons, let natural = needed[index] else {
        result.append(nil)
        continue
      }
      let count = target ?? rounded(natural, of: dimension.size, [layer.neuronBlocks?.count ?? 1])
      result.append(try fill(dimension.size, count, candidates[index], held: heldNeurons[index], layers[index].index))
    }
    return result
  }

  /// The least multiple of what the request asks for and of some runs, at most the size, which is a multiple of every run.
  private func rounded(_ count: Int, of size: Int, _ runs: [Int]) -> Int {
    var step = max(1, roundTo)
    for run in runs {
      guard let next = step.leastCommonMultiple(with: run) else { return size }
      step = next
    }
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
    let runs = Set(layers.compactMap { $0.neuronBlocks?.count }).sorted()
    let count = rounded(needed.max() ?? whole, of: whole, runs)
    guard case .uniformDividing(let total) = capability else { return count }
    return (count...whole).first { count in total % count == 0 && runs.allSatisfy { count % $0 == 0 } } ?? whole
  }

  private func fill(
    _ size: Int, _ count: Int, _ candidates: Candidates, held: [Int], _ layer: Int
  ) throws(CompactionError) -> UnitPlan {
    var fill = Set(held)
    var missing = count - (size - candidates.neurons.count) - fill.count
    for unit in 0..<size where missing > 0 && candidates.neurons[unit] != nil && fill.insert(unit).inserted {
      missing -= 1
    }
    // A constant unit that stays is what it was: it is no fill.
    let padded = fill.filter { candidates.neurons[$0]?.reason != .constant }.sorted()
    if !allowsPadding, let first = padded.first {
      throw CompactionError(
        .paddingNeeded, subject: .layer(layer), expected: "\(count) neurons to stay",
        found: "\(padded.count) of them asked to go, the first is neuron \(first)", remedy: Self.remedy)
    }
    let kept = (0..<size).filter { candidates.neurons[$0] == nil || fill.contains($0) }
    return UnitPlan(
      before: size, kept: kept, padded: padded,
      removed: candidates.neurons.values.filter { !fill.contains($0.index) }.sorted { $0.index < $1.index },
      constant: candidates.constantNeurons.keys.filter { candidates.neurons[$0] == nil || fill.contains($0) }.sorted(),
      void: candidates.voidNeurons, rescaled: candidates.neuronFactors
    ).contradicting(candidates.neurons.values)
  }
}
