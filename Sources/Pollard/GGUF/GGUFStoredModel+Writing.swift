import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

extension GGUFStoredModel {
  package func stage(_ request: StagingRequest) throws -> StagedOutput {
    if request.options.opset != nil, request.format != .onnx {
      throw CompactionError(
        .optionDoesNotApply, subject: .option("--opset"), expected: "an ONNX output", found: request.format.rawValue)
    }
    switch request.format {
    case .gguf: return try stageGGUF(request)
    case .onnx: return try stageONNX(request)
    case .safetensors: return try stageFolder(request)
    }
  }

  /// Writes the file again: after a cut, in another type, or as it is.
  private func stageGGUF(_ request: StagingRequest) throws -> StagedOutput {
    if let failure = request.cut?.reduced.failure { throw failure }
    var model = request.cut?.reduced.gguf ?? imported.source
    if let type = request.type { model = try converted(to: type) }
    try request.requireRequantisation(model)
    model.set(receipt: request.receipt)
    for changed in model.requantizations.prefix(3) {
      model.notes.append("\(changed.tensor) is rounded anew, from \(changed.from) to \(changed.to)")
    }
    if model.requantizations.count > 3 {
      model.notes.append("so are \(model.requantizations.count - 3) further tensors")
    }
    let place = try GGUFOutput(path: request.output, inputs: request.inputs, options: request.options)
    return try place.write(model, like: checkpoint.files.first, pool: request.pool)
  }

  /// The file in another type: its metadata stay but for the numbers that tell the type.
  private func converted(to type: WeightType) throws -> GGUFModel {
    let model = try GGUFModel(
      converting: imported.model.exported(), of: imported.model, carrier: imported.carrier,
      tokenizer: tokenizer.ggufEntries,
      type: type.ggufType)
    var result = imported.source
    result.notes = model.notes
    // What no model reads stays what it is.
    let unread = Set(imported.unreadTensors)
    let places = Dictionary(
      zip(imported.source.tensors.map(\.name), imported.source.tensors.indices), uniquingKeysWith: { first, _ in first }
    )
    result.tensors = model.tensors + imported.source.tensors.filter { unread.contains($0.name) }
    if !unread.isEmpty {
      result.tensors.sort { places[$0.name, default: places.count] < places[$1.name, default: places.count] }
    }
    // What was not packed before loses nothing that was asked to be kept.
    let before = Dictionary(imported.source.tensors.map { ($0.name, $0.type) }) { first, _ in first }
    result.requantizations = model.requantizations.compactMap { change in
      guard let stored = before[change.tensor], stored.blockFormat != nil else { return nil }
      return GGUFModel.Requantization(tensor: change.tensor, from: stored, to: change.to)
    }
    for key in ["general.file_type", "general.quantization_version"] {
      if let value = model.metadata[key] { result.metadata.set(key, to: value) }
    }
    return result
  }

  /// Writes the graph as ONNX; a folder gets the configuration and the tokenizer as well.
  private func stageONNX(_ request: StagingRequest) throws -> StagedOutput {
    let export = try request.export(imported.model)
    let place = try ONNXOutput(path: request.output, inputs: request.inputs, options: request.options)
    var staged = try place.write(export.model, pool: request.pool)
    staged.notes = export.notes + unreadNote
    if place.isFolder {
      for file in try companions(request) { try place.directory.writeFile(file.name, file.bytes) }
    }
    return staged
  }

  /// Writes a Hugging Face directory. Packed weights become single precision unless a type is asked for; the others keep theirs.
  private func stageFolder(_ request: StagingRequest) throws -> StagedOutput {
    let type = try request.type?.requireElementType(.safetensors)
    let exported = try imported.model.exported(after: request.cut.map { ($0.plan, $0.graph) })
    let tensors = exported.tensors.map { tensor in
      (name: tensor.name, weight: type.map { tensor.weight.cast(to: $0) } ?? tensor.weight)
    }
    let ragged = request.cut == nil ? try raggedNote(exported, request) : []
    var files = try companions(request, type)
    if let receipt = request.receipt { files.append((receiptFileName, receipt)) }
    let output = try AtomicDirectory(
      path: request.output, replacing: request.options.replacing, inputs: request.inputs)
    if request.options.replacing { try requireReplaceable(request.output) }
    let plan = try ShardPlan(
      tensors.map { TensorDeclaration(name: $0.name, type: $0.weight.type, shape: $0.weight.shape) },
      metadata: ["format": "pt"], maximumShardSize: request.options.maxShardSize?.bytes)
    let bytes = try CheckpointWriter.write(plan, of: tensors, to: output, pool: request.pool)
    for file in files { try output.writeFile(file.name, file.bytes) }
    return StagedOutput(
      path: output.temporary, weightBytes: bytes, notes: packedNote(type) + unreadNote + ragged,
      commit: { () throws(FormatError) in try output.commit() })
  }

  /// A remark on a folder whose configuration has one count for all layers where layers differ, so that only its receipt tells.
  ///
  /// - Throws: `cannotExpress` where there is no receipt either.
  private func raggedNote(_ exported: ExportedModel, _ request: StagingRequest) throws -> [String] {
    let tensors = exported.tensors.map { NamedTensor(name: $0.name, weight: $0.weight) }
    do {
      _ = try ImportedModel(config: exported.config, tensors: tensors)
      return []
    } catch {
      guard request.receipt != nil else {
        throw FormatError(
          .cannotExpress, file: checkpoint.path,
          expected: "the same counts in every layer, as config.json has one for all",
          found: "layers that differ; \(error)",
          remedy: "compact the original with --shape uniform, or write ONNX with --to onnx")
      }
      return [
        "layers differ, which config.json cannot say: the folder opens by its \(receiptFileName), and no other tool loads it"
      ]
    }
  }

  /// What a model of another format has no place for.
  private var unreadNote: [String] {
    let names = imported.unreadTensors
    return names.isEmpty
      ? []
      : [
        "\(names.joined(separator: ", ")) stand behind a layer that GGUF does not hold, and are left out of \(imported.model.className)"
      ]
  }

  private func packedNote(_ type: ElementType?) -> [String] {
    let isPacked = imported.source.tensors.contains { $0.type.blockFormat != nil }
    return isPacked && type == nil
      ? ["packed weights are written as F32, which holds their values exactly; --type f16 or bf16 is smaller"] : []
  }

  /// The configuration and the tokenizer's files.
  private func companions(_ request: StagingRequest, _ type: ElementType? = nil) throws -> [(
    name: String, bytes: [UInt8]
  )] {
    var config = request.cut?.reduced.configuration ?? imported.model.config
    let names: [ElementType: String] = [.f32: "float32", .f16: "float16", .bf16: "bfloat16"]
    let isPacked = imported.source.tensors.contains { $0.type.blockFormat != nil }
    if let name = names[type ?? .f32], type != nil || isPacked {
      config = config.settingKey("torch_dtype", to: JSONValue(name))
    }
    guard tokenizer.tokenCount > 0 else { return [("config.json", config.serializedBytes(.pretty) + [0x0a])] }
    let files = try tokenizer.huggingFaceFiles(architecture: imported.architecture).files
    return [("config.json", config.serializedBytes(.pretty) + [0x0a])] + files
  }
}

extension StagingRequest {
  /// Refuses to round packed numbers anew unless that was asked for.
  ///
  /// - Throws: `cutsThroughBlocks` naming the first such tensor.
  func requireRequantisation(_ model: GGUFModel) throws(CompactionError) {
    guard type == nil, !options.requantises, let first = model.requantizations.first else { return }
    throw CompactionError(
      .cutsThroughBlocks, subject: .tensor(first.tensor), expected: "whole blocks of \(first.from)",
      found: "a cut through blocks in \(model.requantizations.count) tensors",
      remedy: "--round-to \(first.from.elementsPerBlock) keeps blocks whole; --requantise rounds their numbers anew")
  }

  /// The graph as ONNX.
  func export(_ model: ImportedModel) throws -> ONNXExport {
    var choice = ONNXExport.Options()
    if let opset = options.opset { choice.operatorSet = opset }
    choice.type = try type?.requireElementType(.onnx)
    choice.producerVersion = pollardVersion
    if let receipt {
      choice.metadata = [(key: receiptKey, value: String(decoding: receipt, as: UTF8.self))]
    }
    return try ONNXExport(model, graph: cut?.graph, options: choice)
  }
}
