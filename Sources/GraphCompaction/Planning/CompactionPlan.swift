import ModelGraph
import PollardBase

/// How many units there are of each outcome. Key/value groups are not counted again: their query heads are.
public struct UnitCounts: Sendable, Hashable {
  /// Units that asked to go, through the mask or by being dead.
  public var requested = 0
  /// Units that go.
  public var removed = 0
  /// Those of `removed` that the weights prove to contribute nothing.
  public var dead = 0
  /// Those of `removed` that only the mask declares.
  public var declared = 0
  /// Units that contribute a constant, whether they stay or a bias takes it up.
  public var constant = 0
  /// Those of `constant` that are removed, because a bias takes up what they contribute.
  public var folded = 0
  /// Units whose consumer weights are multiplied.
  public var rescaled = 0
  /// Units that asked to go and stay as fill.
  public var padded = 0
  /// Units about which zeros prove nothing because weights are not finite; they stay.
  public var void = 0

  /// Creates counts.
  public init(
    requested: Int = 0, removed: Int = 0, dead: Int = 0, declared: Int = 0, constant: Int = 0, rescaled: Int = 0,
    padded: Int = 0, void: Int = 0, folded: Int = 0
  ) {
    self.folded = folded
    self.requested = requested
    self.removed = removed
    self.dead = dead
    self.declared = declared
    self.constant = constant
    self.rescaled = rescaled
    self.padded = padded
    self.void = void
  }
}

/// What compaction will do, as a value: to look at, to print, to apply.
public struct CompactionPlan: Sendable, Hashable {
  /// What happens to each layer.
  public var layers: [LayerPlan]
  /// What happens to units outside of layers, in the order of the map; empty unless the map offers them.
  public var dimensions: [DimensionPlan]
  /// The rule whose counts were aimed at; nil when the request names the shape or no loader is described.
  public var target: LoaderRule?
  /// What each described loader makes of the result, in the order of the rules.
  public var loaders: [LoaderVerdict]
  /// The biases that take up what removed units contribute; empty unless the request folds.
  public var folds: [BiasFold] = []
  /// What could not be done as asked, in sentences without a full stop.
  public var remarks: [String] = []

  /// The outcomes, counted.
  public var counts: UnitCounts {
    var counts = UnitCounts()
    for units in layers.flatMap({ [$0.heads?.units, $0.neurons].compactMap { $0 } }) + dimensions.map(\.units) {
      counts.removed += units.removed.count
      counts.dead += units.removed.count { $0.reason == .dead }
      counts.declared += units.removed.count { $0.reason == .declared }
      counts.folded += units.removed.count { $0.reason == .constant }
      counts.constant += units.constant.count + units.removed.count { $0.reason == .constant }
      counts.rescaled += units.rescaled.count
      counts.padded += units.padded.count
      counts.void += units.void.count
    }
    counts.requested = counts.removed + counts.padded
    return counts
  }

  /// Whether the result is the original, byte for byte.
  public var changesNothing: Bool {
    let counts = counts
    return counts.requested == 0 && counts.rescaled == 0
  }

  /// A plan from its parts, as a receipt tells it; `apply` checks it against the graph.
  public init(
    layers: [LayerPlan], dimensions: [DimensionPlan] = [], target: LoaderRule? = nil, loaders: [LoaderVerdict] = []
  ) {
    self.layers = layers
    self.dimensions = dimensions
    self.target = target
    self.loaders = loaders
  }

  /// Plans a compaction.
  ///
  /// With a mask, only the declared units are looked at and only their weights are read; without one every weight of a unit is read once.
  ///
  /// - Throws: `FormatError` from reading weights. `CompactionError`: `maskShape`, `maskValue`, `notRemovable`, `implausibleMask`, `notFinite`,
  ///   `unevenGroups`, `paddingNeeded`, `cutsThroughBlocks`, `layersDiffer`, `unknownLoader`.
  public init(map: DimensionMap, request: CompactionRequest, rules: LoaderRules, pool: ThreadPool) throws {
    loaders = []
    if let loader = request.loader, !rules.rows.contains(where: { $0.loader == loader }) {
      throw CompactionError(
        .unknownLoader, subject: .option("--for"),
        expected: rules.rows.map(\.loader).reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
          .joined(separator: ", "), found: loader)
    }
    if let loader = request.loader, let row = rules.rows.first(where: { $0.loader == loader }),
      rules.rows.allSatisfy({ $0.loader != loader || $0.opens == false })
    {
      throw CompactionError(
        .cannotLoad, subject: .option("--for \(loader)"),
        remedy: "\(row.remark); leave --for out, or name a loader that reads this format")
    }
    var map = map
    if !request.writesBlocks { map.forgetBlocks() }
    let (found, others) = try Self.candidates(map, request, pool)
    var candidates = found
    remarks = Self.constantsThatStay(&candidates, map, request)
    let blocks = BlockPolicy(roundTo: request.roundTo, requantizes: request.requantizes, hasMask: request.mask != nil)
    if !request.requantizes, request.writesBlocks { try map.requireFactorsAreStorable(candidates) }
    let selection = try LayerSelection(
      layers: map.layers, candidates: candidates, roundTo: request.roundTo, allowsPadding: request.allowsPadding,
      blocks: blocks)
    let rows = rules.rows.filter {
      $0.opens != false && (request.loader == nil || $0.loader == request.loader)
        && (request.allowsRetarget || $0.carrier == nil)
    }
    dimensions = try Self.plans(map.others, others, allowsPadding: request.allowsPadding, blocks)
    switch request.shape {
    case .ragged: layers = try selection.plans(heads: .perLayer, feedForward: .perLayer)
    case .uniform:
      let isAlike = rules.rows.contains { $0.heads == .uniformAlike }
      layers = try selection.plans(heads: isAlike ? .uniformAlike : .uniform, feedForward: .uniform)
    case .auto: (layers, target) = try Self.best(rows, selection, map)
    }
    if request.shape != .auto {
      target = LoaderRules(rows).mostAccepted(layers)
    } else if request.allowsRetarget, let most = LoaderRules(rows).mostAccepted(layers) {
      target = most
    }
    loaders = rules.verdicts(on: layers, writtenAs: target?.carrier)
    if let loader = request.loader, let verdict = loaders.first(where: { $0.name == loader }), verdict.loads == false {
      throw CompactionError(
        .cannotLoad, subject: .option("--for \(loader)"), expected: "a result that it opens", found: verdict.reason,
        remedy: request.shape == .ragged ? "--shape auto or uniform" : "name another loader, or leave --for out")
    }
    if request.folds { folds = try map.folds(of: self, addsBiases: request.addsBiases, pool: pool) }
  }

  /// The row under which least remains; of equals, the first.
  private static func best(
    _ rows: [LoaderRule], _ selection: LayerSelection, _ map: DimensionMap
  ) throws(CompactionError) -> ([LayerPlan], LoaderRule?) {
    var best: (layers: [LayerPlan], row: LoaderRule?, cost: Int)?
    var failure: CompactionError?
    for row in rows {
      do throws(CompactionError) {
        let layers = try selection.plans(heads: row.heads, feedForward: row.feedForward)
        let cost = map.remaining(layers)
        if best.map({ cost < $0.cost }) ?? true { best = (layers, row, cost) }
      } catch { failure = failure ?? error }
    }
    if let best { return (best.layers, best.row) }
    if let failure { throw failure }
    return (try selection.plans(heads: .perLayer, feedForward: .perLayer), nil)
  }

  /// Which units may go, by layer and outside of layers.
  private static func candidates(
    _ map: DimensionMap, _ request: CompactionRequest, _ pool: ThreadPool
  ) throws -> (layers: [Candidates], others: [OtherCandidates]) {
    guard let mask = request.mask else {
      let found = try UnitClassifier(map: map, pool: pool).verdicts()
      let layers = found.layers.map { verdicts in
        var result = Candidates()
        for (unit, verdict) in verdicts.heads.units.sorted(by: { $0.key < $1.key }) {
          switch verdict {
          case .dead(let rule): result.heads[unit] = RemovedUnit(index: unit, reason: .dead, rule: rule)
          case .constant(let rule): result.constantHeads[unit] = rule
          case .void: result.voidHeads.append(unit)
          case .live: break
          }
        }
        for (unit, verdict) in verdicts.neurons.units.sorted(by: { $0.key < $1.key }) {
          switch verdict {
          case .dead(let rule): result.neurons[unit] = RemovedUnit(index: unit, reason: .dead, rule: rule)
          case .constant(let rule): result.constantNeurons[unit] = rule
          case .void: result.voidNeurons.append(unit)
          case .live: break
          }
        }
        return result
      }
      return (layers, found.others.map(OtherCandidates.init))
    }
    let wishes = try mask.wishes(for: map)
    // Constants are looked for everywhere, other verdicts are wanted on what is declared.
    let verdicts = try UnitClassifier(map: map, pool: pool).verdicts(
      request.folds ? nil : wishes.layers.map { ($0.heads, $0.neurons) }, others: wishes.others)
    var result: [Candidates] = []
    for (layer, (wish, verdicts)) in zip(wishes.layers, verdicts.layers).enumerated() {
      let poisoned = verdicts.heads.poisoned.intersection(wish.heads)
      if let unit = poisoned.min() { throw notFinite("head \(unit)", .layer(layer)) }
      let poisonedNeurons = verdicts.neurons.poisoned.intersection(wish.neurons)
      if let unit = poisonedNeurons.min() { throw notFinite("neuron \(unit)", .layer(layer)) }
      var candidates = Candidates()
      for unit in wish.heads { candidates.heads[unit] = removed(unit, verdicts.heads.units[unit], "H5") }
      for unit in wish.neurons { candidates.neurons[unit] = removed(unit, verdicts.neurons.units[unit], "F5") }
      candidates.unstableHeads = wish.heads.filter { verdicts.heads.units[$0] == .void }
      candidates.unstableNeurons = wish.neurons.filter { verdicts.neurons.units[$0] == .void }
      candidates.headFactors = wish.headFactors.filter { !wish.heads.contains($0.key) }
      candidates.neuronFactors = wish.neuronFactors.filter { !wish.neurons.contains($0.key) }
      if request.folds {
        // What is declared off contributes nothing in the masked model; what is multiplied is no longer what the weights say.
        candidates.constantHeads = verdicts.heads.constantRules(
          without: wish.heads.union(wish.headFactors.keys))
        candidates.constantNeurons = verdicts.neurons.constantRules(
          without: wish.neurons.union(wish.neuronFactors.keys))
      }
      result.append(candidates)
    }
    var others: [OtherCandidates] = []
    for (index, (units, verdicts)) in zip(wishes.others, verdicts.others).enumerated() {
      if let unit = verdicts.poisoned.min() { throw notFinite("unit \(unit)", .tensor(map.others[index].name)) }
      var candidates = OtherCandidates()
      let rule = map.others[index].dimension.kind.ruleLetter + "5"
      for unit in units { candidates.removed[unit] = removed(unit, verdicts.units[unit], rule) }
      others.append(candidates)
    }
    if !request.allowsNearlyEverything {
      try checkPolarity(result.map(\.heads), map.layers.map { $0.heads?.count ?? 0 }, "head_mask")
      try checkPolarity(result.map(\.neurons), map.layers.map { $0.neurons?.size ?? 0 }, "ffn_mask")
    }
    return (result, others)
  }

  private static func removed(_ unit: Int, _ verdict: UnitVerdict?, _ rule: String) -> RemovedUnit {
    if case .dead(let proof)? = verdict { return RemovedUnit(index: unit, reason: .dead, rule: proof) }
    return RemovedUnit(index: unit, reason: .declared, rule: rule)
  }

  static func notFinite(_ unit: String, _ subject: DiagnosticSubject) -> CompactionError {
    CompactionError(
      .notFinite, subject: subject, expected: "finite weights in \(unit)", found: "NaN or infinity",
      remedy:
        "zero times that is not a number, so the masked model has no finite output; repair the checkpoint or keep the unit"
    )
  }

  /// Masks with 1 for units to remove exist; turned round, they remove nearly everything.
  private static func checkPolarity(
    _ removed: [[Int: RemovedUnit]], _ sizes: [Int], _ name: String
  ) throws(CompactionError) {
    let total = sizes.reduce(0, +)
    let units = removed.flatMap(\.values)
    guard total > 8, units.count * 10 >= total * 9, units.allSatisfy({ $0.reason == .declared }) else { return }
    throw CompactionError(
      .implausibleMask, subject: .option(name), expected: "1 for each unit that is kept",
      found: "a mask that removes \(units.count) of \(total) units",
      remedy: "turn the mask round if 1 means remove in it")
  }
}

extension DimensionMap {
  /// The number of weight elements left in the planned layers' units, for comparing plans.
  func remaining(_ plans: [LayerPlan]) -> Int {
    var total = 0
    for (layer, plan) in zip(layers, plans) {
      if let neurons = layer.neurons, let units = plan.neurons { total += units.after * elements(of: neurons) }
      guard let heads = layer.heads, let units = plan.heads else { continue }
      if let queries = heads.queries { total += units.units.after * elements(of: queries) / heads.groupCount }
      if let groups = heads.groups { total += units.keptGroups.count * elements(of: groups, without: heads.queries) }
    }
    return total
  }

  /// The weight elements that one unit of a dimension takes.
  private func elements(of dimension: Dimension, without other: Dimension? = nil) -> Int {
    let others = Set(other?.uses ?? [])
    return dimension.uses.filter { !others.contains($0) }.reduce(0) { total, use in
      let weight = graph.nodes[use.slot.node].input(use.slot.slot).flatMap { graph[$0].initializer }
      return total + (weight?.shape.elementCount ?? 0) / dimension.size
    }
  }
}
