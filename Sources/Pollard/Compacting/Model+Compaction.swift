import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase

extension Model {
  /// What carrying out a plan would give; nothing is written.
  ///
  /// - Throws: `CompactionError` when the plan is not of this model.
  public func preview(_ plan: CompactionPlan, masks: MaskSource? = nil) throws -> CompactionReport {
    var report = try compaction(plan).report(output: nil)
    report.notes += try maskNotes(masks)
    return report
  }

  /// Sentences about the masks that decided, and about their conventions.
  private func maskNotes(_ masks: MaskSource?) throws -> [String] {
    guard case .file(let path)? = masks, masksFile != path, let convention = try maskConvention(of: path) else {
      return stored.maskNotes
    }
    return stored.maskNotes + ["the mask file holds \(convention)"]
  }

  /// Carries out a plan: writes the smaller model whole, published by renaming.
  ///
  /// With `options.verifies`, the finished output is verified first and not published when it is not equal; the report says so.
  ///
  /// - Throws: `CompactionError` when the plan is not of this model, `FormatError` from reading or writing; nothing is left behind then.
  @discardableResult
  public func compact(
    _ plan: CompactionPlan, to output: String, options: WriteOptions = WriteOptions(),
    pool: ThreadPool = .allProcessors,
    masks: MaskSource? = nil, progress: ((String) -> Void)? = nil
  ) throws -> CompactionReport {
    let result = try compaction(plan)
    var inputs = inputPaths
    if case .file(let path)? = masks { inputs.append(path) }
    let staged = try stage(result, to: output, inputs: inputs, options: options, pool: pool)
    var report = result.report(output: output)
    report.isCopy = report.isCopy && options.maxShardSize == nil
    report.bytes.after = staged.weightBytes
    report.leftBehind = staged.leftBehind
    report.notes += try maskNotes(masks) + staged.notes
    if options.verifies {
      progress?("verifying before publishing")
      var verifying = VerificationOptions()
      verifying.hiddenNorm = narrowing?.plan.norm
      let verification = try verify(
        original: unnarrowed, compacted: Model(at: staged.path, allowingRagged: true), masks: masks,
        options: verifying, pool: pool)
      report.verification = verification
      guard verification.equal else {
        report.output = nil
        return report
      }
    }
    try staged.commit()
    report.output = staged.published(as: output)
    return report
  }

  /// A plan carried out on the graph, before anything is written.
  struct Compaction {
    var model: Model
    var plan: CompactionPlan
    var graph: Graph
    var layers: [LayerSummary]
    var reduced: ReducedModel

    func report(output: String?) -> CompactionReport {
      CompactionReport(
        output: output, parameters: (model.base.parameterCount, reduced.parameterCount),
        bytes: (model.stored.byteCount, reduced.byteCount), plan: plan, layers: layers, layersBefore: model.layers,
        isCopy: plan.changesNothing && model.removals.isEmpty && model.stored.storesParametersPlainly,
        carrier: plan.target?.carrier, removals: model.removals, width: model.narrowing?.plan,
        vocabulary: model.vocabulary, notes: plan.remarks + model.layerNotes + (model.vocabulary?.notes ?? []))
    }
  }

  func compaction(_ plan: CompactionPlan) throws -> Compaction {
    let graph = try plan.apply(to: stored.dimensionMap())
    return Compaction(
      model: self, plan: plan, graph: graph, layers: Self.layers(layers, after: plan),
      reduced: try stored.reduced(by: plan, graph: graph, carrier: plan.target?.carrier))
  }

  /// The counts of every layer after a plan.
  static func layers(_ layers: [LayerSummary], after plan: CompactionPlan) -> [LayerSummary] {
    zip(layers, plan.layers).map { layer, plan in
      var layer = layer
      if let heads = plan.heads {
        layer.heads = heads.units.after
        layer.keyValueHeads = heads.keptGroups.count
      }
      // Neurons that leave in blocks are planned in blocks.
      if let neurons = plan.neurons { layer.feedForward = layer.feedForward / neurons.before * neurons.after }
      return layer
    }
  }

  private func stage(
    _ result: Compaction, to output: String, inputs: [String], options: WriteOptions, pool: ThreadPool
  ) throws -> StagedOutput {
    try stored.checkIntegrity(pool: pool)
    let receipt =
      result.plan.changesNothing && removals.isEmpty && stored.storesParametersPlainly
      ? nil
      : Receipt.text(
        result.plan, parameters: (base.parameterCount, result.reduced.parameterCount), modelType: stored.modelType,
        removals: removals, width: narrowing.flatMap { $0.isIdentity ? nil : $0.plan }, vocabulary: vocabulary,
        roundedTensors: (options.format ?? format) == .gguf ? result.reduced.roundedTensors : [])
    let cut = StagingRequest.Cut(plan: result.plan, graph: result.graph, reduced: result.reduced, receipt: receipt)
    return try stored.stage(
      StagingRequest(
        cut: cut, format: options.format ?? format, output: output, inputs: inputs, options: options, pool: pool))
  }

  /// The refusal of a conversion that does not exist.
  static func cannotWrite(_ format: ModelFormat, from input: ModelFormat) -> CompactionError {
    CompactionError(
      .noConversion, subject: .option("--to \(format.rawValue)"),
      expected: "a format that the input can be written in",
      found: "\(input.rawValue) to \(format.rawValue)",
      remedy: "an ONNX file holds a graph and no configuration; start from the checkpoint it was exported from")
  }
}
