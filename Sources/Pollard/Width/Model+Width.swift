import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase

extension Model {
  /// The model without residual channels that nothing writes, or that a mask removes; norms are compensated, so that the function is the same up
  /// to rounding.
  ///
  /// This is one more step before `plan`: heads and neurons are planned on the result. Without anything to remove it is the model itself.
  ///
  /// - Parameter masks: a file whose `hidden_mask` names the channels; without one, and where the file has none, those that the weights prove
  ///   dead.
  /// - Throws: `widthPinned` for models whose channels cannot go, `optionDoesNotApply` for formats without a checkpoint, `cannotExpress` where
  ///   the configuration cannot say what remains; `maskShape`, `maskValue`, `notFinite`, `paddingNeeded`; and what reading files throws.
  public func narrowed(
    masks: MaskSource = .zeros, options: WidthOptions = WidthOptions(), pool: ThreadPool = .allProcessors
  ) throws -> Model {
    _ = try rewritable()
    var channels: MaskTable.Channels?
    if case .file(let path) = masks { channels = try channelMask(file: path) }
    let width = try HiddenWidth(stored.dimensionMap())
    let declared = try channels?.removed(of: width.size)
    try stored.checkIntegrity(pool: pool)
    let verdicts = try width.verdicts(in: graph, pool: pool)
    if let declared, let channel = try width.notFinite(among: declared.sorted(), in: graph, pool: pool).min() {
      throw CompactionError(
        .notFinite, subject: .option("--width"), expected: "finite weights that read channel \(channel)",
        found: "NaN or infinity", remedy: "repair the checkpoint or keep the channel")
    }
    let norm = options.norm ?? channels?.norm ?? .all
    let plan = try WidthPlan(
      size: width.size, verdicts: verdicts, declared: declared,
      multiple: try multiple(options, stored.loaderRules(writing: options.format ?? format)),
      allowsPadding: options.allowsPadding, norm: norm)
    if plan.missing.isEmpty, verdicts.dead.isSuperset(of: plan.units.padded) {
      return Model(self, narrowed: stored, Narrowing(plan: plan, whole: stored, isIdentity: true))
    }
    return try narrowed(by: plan, width, silencing: declared ?? [])
  }

  /// The model with a plan for its channels carried out.
  ///
  /// - Parameter silenced: channels that a mask removes; those that stay as fill are written as zero.
  func narrowed(by plan: WidthPlan, _ width: HiddenWidth, silencing silenced: Set<Int>) throws -> Model {
    let imported = try rewritable()
    func tensor(_ value: ValueID) -> String? { imported.parameter(of: value)?.tensor }
    func axes(_ uses: [HiddenWidth.Use]) throws -> [String: Set<Int>] {
      var result: [String: Set<Int>] = [:]
      for use in uses {
        guard let (name, isTransposed) = imported.parameter(of: use.value) else {
          throw CompactionError(
            .widthPinned, subject: .value(graph[use.value].name), expected: "a stored tensor", found: "a computed one")
        }
        result[name, default: []].insert(isTransposed ? 1 - use.axis : use.axis)
      }
      return result
    }
    for name in Set((width.writers + width.readers).compactMap { tensor($0.value) }) {
      guard let weight = imported.storedTensors.first(where: { $0.name == name })?.weight else { continue }
      guard weight.blockFormat == nil, weight.type.isFloatingPoint, weight.type.byteCount != nil else {
        throw CompactionError(
          .notExpressible, subject: .tensor(name), expected: "a floating-point type",
          found: "packed numbers, of which a channel is a part of a block",
          remedy: "convert it to --type f32 or bf16 first, and pack the result again")
      }
    }
    var plan = plan
    var change = WidthChange(
      kept: plan.units.kept, axes: try axes(width.writers + width.readers), writers: try axes(width.writers),
      silenced: silenced.sorted())
    var factors: [ValueID: Double] = [:]
    if plan.missing.isEmpty {
      plan.rewrite = .none
    } else {
      // What numbers follow from the width tells the graph of the narrower model before anything is multiplied.
      let small = try stored.narrowed(change).graph
      let rewrite = try WidthRewrite(
        width, keeping: plan.units.after, graph: graph, small: small, keepsNormsOverKept: plan.norm == .kept,
        tensor: tensor)
      change.factors = rewrite.factors
      change.epsilonFactor = rewrite.epsilonFactor
      plan.rewrite = rewrite.kind
      factors = rewrite.valueFactors
    }
    var taps: [String: Double] = [:]
    for tap in graph.taps { taps[tap.name] = factors[tap.value] }
    return Model(
      self, narrowed: try stored.narrowed(change),
      Narrowing(plan: plan, whole: stored, tapFactors: taps, isIdentity: false))
  }

  /// Whether the model has that many residual channels that could go: a receipt of another number speaks of another model.
  func hasChannels(_ count: Int) -> Bool {
    stored.rewritable != nil && (try? HiddenWidth(stored.dimensionMap()))?.size == count
  }

  private func rewritable() throws -> ImportedModel {
    guard let imported = stored.rewritable else {
      throw CompactionError(
        .optionDoesNotApply, subject: .option("--width"),
        expected: "a checkpoint, whose norms are operators of their own",
        found: "\(format.rawValue), a graph",
        remedy: "compact the checkpoint it was exported from, with --width --to onnx")
    }
    return imported
  }

  /// What the number of channels must be a multiple of, so that the loaders that are asked for open the result.
  private func multiple(_ options: WidthOptions, _ rules: LoaderRules) throws(CompactionError) -> Int {
    let divides = rules.rows.contains { row in
      guard options.loader == nil || row.loader == options.loader, row.carrier == nil else { return false }
      if case .uniformDividing = row.heads { return true }
      return false
    }
    let heads = divides ? layers.map(\.heads).max() ?? 1 : 1
    let (product, overflows) = options.roundTo.multipliedReportingOverflow(
      by: heads / greatestCommonDivisor(options.roundTo, heads))
    guard !overflows else {
      throw CompactionError(
        .paddingNeeded, subject: .option("--round-to"), expected: "a number below the channels",
        found: "\(options.roundTo)")
    }
    return product
  }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return max(a, 1)
}
