import GraphCompaction
import PollardBase
import TensorStorage

extension HuggingFaceModel {
  /// Writes the model after a cut as a whole directory.
  ///
  /// - Parameter plan: what was cut, for the receipt; a plan that changes nothing copies the weight files.
  func stage(
    _ reduced: ReducedModel, plan: CompactionPlan, to output: String, inputs: [String], options: WriteOptions,
    pool: ThreadPool
  ) throws -> StagedOutput {
    let isCopy = plan.changesNothing && imported.prunePairs.isEmpty && options.maxShardSize == nil
    let receipt = Receipt.text(
      plan, parameters: (parameterCount, reduced.parameterCount), modelType: imported.modelType)
    return try stage(
      reduced, to: output, inputs: inputs, extraFiles: isCopy ? [] : [(receiptFileName, receipt)], copying: isCopy,
      options: options, pool: pool)
  }

  /// Writes tensors and configuration with everything else of the directory.
  func stage(
    _ reduced: ReducedModel, to output: String, inputs: [String], extraFiles: [(name: String, bytes: [UInt8])] = [],
    copying: Bool = false, options: WriteOptions, pool: ThreadPool
  ) throws -> StagedOutput {
    let directory = try AtomicDirectory(
      path: output, replacing: options.replacing, inputs: [folder.checkpoint.location.folder] + inputs)
    if options.replacing { try requireReplaceable(output) }
    let writer = CheckpointWriter(
      source: folder.checkpoint, tensors: reduced.tensors,
      configuration: configurationBytes(reduced.configuration ?? folder.config), extraFiles: extraFiles,
      options: options)
    let written = copying ? try writer.copyWeights(to: directory) : try writer.write(to: directory, pool: pool)
    return StagedOutput(
      path: directory.temporary, weightBytes: written.weightBytes, leftBehind: written.leftBehind,
      commit: { () throws(FormatError) in try directory.commit() })
  }

  /// The model in another element type. Floating-point parameters are rounded to nearest, ties to even.
  func converted(to type: ElementType?) throws -> ReducedModel {
    let exported = try imported.exported()
    let buffers = Set(imported.passedThrough.filter { $0.reason == .buffer }.map(\.name))
    let tensors = exported.tensors.map { tensor in
      let converts = tensor.weight.type.isFloatingPoint && !buffers.contains(tensor.name)
      return (name: tensor.name, weight: type.flatMap { converts ? tensor.weight.cast(to: $0) : nil } ?? tensor.weight)
    }
    let names: [ElementType: String] = [.f32: "float32", .f16: "float16", .bf16: "bfloat16"]
    var config = exported.config
    if let name = type.flatMap({ names[$0] }) {
      for key in ["torch_dtype", "dtype"] where config[key] != nil {
        config = config.settingKey(key, to: JSONValue(name))
      }
    }
    return ReducedModel(tensors: tensors, parameterCount: parameterCount, configuration: config)
  }
}
