import GraphCompaction
import PollardBase
import TensorStorage

extension HuggingFaceModel {
  package func stage(_ request: StagingRequest) throws -> StagedOutput {
    if request.options.opset != nil, request.format != .onnx {
      throw CompactionError(
        .optionDoesNotApply, subject: .option("--opset"), expected: "an ONNX output", found: request.format.rawValue)
    }
    switch request.format {
    case .safetensors: return try stageFolder(request)
    case .onnx: return try stageONNX(request)
    case .gguf: return try stageGGUF(request)
    }
  }

  /// Writes a whole directory; where nothing changes and nothing is converted, the weight files are copied.
  private func stageFolder(_ request: StagingRequest) throws -> StagedOutput {
    let type = try request.type?.requireElementType(.safetensors)
    let isCopy = request.cut.map { $0.receipt == nil && request.options.maxShardSize == nil } ?? false
    return try stage(
      request.cut?.reduced ?? converted(to: type), to: request.output, inputs: request.inputs,
      extraFiles: rewrittenFiles + ((request.cut?.receipt).map { [(receiptFileName, $0)] } ?? []), copying: isCopy,
      options: request.options, pool: request.pool)
  }

  /// Writes tensors and configuration with everything else of the directory.
  private func stage(
    _ reduced: ReducedModel, to output: String, inputs: [String], extraFiles: [(name: String, bytes: [UInt8])] = [],
    copying: Bool = false, options: WriteOptions, pool: ThreadPool
  ) throws -> StagedOutput {
    let directory = try AtomicDirectory(
      path: output, replacing: options.replacing, inputs: [folder.checkpoint.location.folder] + inputs)
    if options.replacing { try requireReplaceable(output) }
    let writer = CheckpointWriter(
      source: folder.checkpoint, tensors: reduced.tensors,
      configuration: configurationBytes(reduced.configuration ?? folder.config), extraFiles: extraFiles,
      options: options, omittedFiles: omittedFiles)
    let written = copying ? try writer.copyWeights(to: directory) : try writer.write(to: directory, pool: pool)
    return StagedOutput(
      path: directory.temporary, weightBytes: written.weightBytes, leftBehind: written.leftBehind,
      commit: { () throws(FormatError) in try directory.commit() })
  }

  /// The model in another element type. Floating-point parameters are rounded to nearest, ties to even.
  func converted(to type: ElementType?) throws -> ReducedModel {
    let exported = try imported.exported()
    let buffers = Set(imported.passedThrough.filter { $0.reason == .buffer }.map(\.name))
    let stored = withoutSharedCopies(exported.tensors.map { ($0.name, $0.weight) })
    let tensors = stored.map { tensor in
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
