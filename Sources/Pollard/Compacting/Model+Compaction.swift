import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

extension Model {
  /// What carrying out a plan would give; nothing is written.
  ///
  /// - Throws: `CompactionError` when the plan is not of this model.
  public func preview(_ plan: CompactionPlan) throws -> CompactionReport { try compaction(plan).report(output: nil) }

  /// Carries out a plan: writes the smaller model as a whole directory, published by one rename.
  ///
  /// With `options.verifies`, the finished directory is verified first and not published when it is not equal; the report says so.
  ///
  /// - Throws: `CompactionError` when the plan is not of this model, `FormatError` from reading or writing; nothing is left behind then.
  @discardableResult
  public func compact(
    _ plan: CompactionPlan, to output: String, options: WriteOptions = WriteOptions(),
    pool: ThreadPool = .allProcessors,
    masks: MaskSource? = nil, progress: ((String) -> Void)? = nil
  ) throws -> CompactionReport {
    let result = try compaction(plan)
    var inputs = [folder.checkpoint.location.folder]
    if case .file(let path)? = masks { inputs.append(path) }
    let directory = try AtomicDirectory(path: output, replacing: options.replacing, inputs: inputs)
    let isCopy = plan.changesNothing && imported.prunePairs.isEmpty && options.maxShardSize == nil
    let writer = CheckpointWriter(
      source: folder.checkpoint, tensors: result.exported.tensors.map { ($0.name, $0.weight) },
      configuration: configurationBytes(result.exported.config),
      extraFiles: isCopy
        ? []
        : [
          (
            receiptFileName,
            Receipt.text(
              plan, parameters: (imported.parameterCount, result.parametersAfter), modelType: imported.modelType)
          )
        ], options: options)
    let written = isCopy ? try writer.copyWeights(to: directory) : try writer.write(to: directory, pool: pool)
    var report = result.report(output: output)
    report.isCopy = isCopy
    report.bytes.after = written.weightBytes
    report.leftBehind = written.leftBehind
    if options.verifies {
      progress?("verifying before publishing")
      let verification = try verify(
        original: self, compacted: Model(at: directory.temporary, allowingRagged: true), masks: masks,
        options: VerificationOptions(), pool: pool)
      report.verification = verification
      guard verification.equal else {
        report.output = nil
        return report
      }
    }
    try directory.commit()
    return report
  }

  /// A plan carried out on the graph, before anything is written.
  struct Compaction {
    var model: Model
    var plan: CompactionPlan
    var layers: [LayerSummary]
    var exported: ExportedModel

    /// Parameters of the smaller model.
    var parametersAfter: Int {
      var sizes: [String: Int] = [:]
      for tensor in exported.tensors { sizes[tensor.name] = tensor.weight.shape.elementCount }
      var total = model.imported.parameterCount
      for binding in model.imported.bindings {
        guard let after = sizes[binding.tensor] else { continue }
        total += after - binding.storedShape.elementCount
      }
      return total
    }

    func report(output: String?) -> CompactionReport {
      let before = model.folder.checkpoint.files.reduce(0) { $0 + $1.source.size }
      let bytes = exported.tensors.reduce(0) { $0 + $1.weight.byteCount }
      return CompactionReport(
        output: output, parameters: (model.imported.parameterCount, parametersAfter), bytes: (before, bytes),
        plan: plan,
        layers: layers, layersBefore: model.layers, isCopy: plan.changesNothing && model.imported.prunePairs.isEmpty,
        carrier: plan.target?.carrier)
    }
  }

  func compaction(_ plan: CompactionPlan) throws -> Compaction {
    let graph = try plan.apply(to: DimensionMap(graph))
    let after = Self.layers(layers, after: plan)
    let exported = try imported.exported(
      graph: graph, layers: after,
      keptHeads: zip(plan.layers, layers).map { $0.heads?.units.kept ?? Array(0..<$1.heads) },
      carrier: plan.target?.carrier)
    return Compaction(model: self, plan: plan, layers: after, exported: exported)
  }

  /// The counts of every layer after a plan.
  static func layers(_ layers: [LayerSummary], after plan: CompactionPlan) -> [LayerSummary] {
    zip(layers, plan.layers).map { layer, plan in
      var layer = layer
      if let heads = plan.heads {
        layer.heads = heads.units.after
        layer.keyValueHeads = heads.keptGroups.count
      }
      if let neurons = plan.neurons { layer.feedForward = neurons.after }
      return layer
    }
  }

  /// The configuration's text: the input's own bytes when nothing changed, else in the input's style.
  func configurationBytes(_ config: JSONValue) -> [UInt8] {
    if config == folder.config { return folder.configBytes }
    let text = config.serializedBytes(.pretty, strings: .matching(folder.configBytes))
    return folder.configBytes.last == 0x0a ? text + [0x0a] : text
  }
}
