import CheckpointFormats
import ModelArchitectures
import PollardBase
import TensorStorage

extension HuggingFaceModel {
  /// Writes the model, or what a cut leaves of it, as GGUF.
  ///
  /// Without a type nothing is rounded: single precision stays so.
  func stageGGUF(_ request: StagingRequest) throws -> StagedOutput {
    if request.options.opset != nil {
      throw CompactionError(
        .notExpressible, subject: .option("--opset"), expected: "an ONNX output", found: request.format.rawValue)
    }
    let exported = try imported.exported(after: request.cut.map { ($0.plan, $0.graph) })
    let tokenizer = try ggufTokenizer(exported.config)
    let type = request.type?.ggufType ?? .lossless(exported.tensors.lazy.map(\.weight))
    var model = try GGUFModel(
      converting: exported, of: imported, layers: request.cut.map { Model.layers(layers, after: $0.plan) },
      carrier: request.cut?.plan.target?.carrier, tokenizer: tokenizer?.ggufEntries ?? [], type: type, naming: naming,
      pooling: pooling, vocabularyRows: tokenizer?.embeddingRowCount)
    model.set(receipt: request.receipt)
    model.notes += tokenizer?.notes ?? ["there are no tokenizer files, so the file holds no vocabulary"]
    let place = try GGUFOutput(path: request.output, inputs: request.inputs, options: request.options)
    return try place.write(model, pool: request.pool)
  }

  private var path: String { folder.checkpoint.location.folder }

  /// The folder's tokenizer; nil where it has none.
  private func ggufTokenizer(_ config: JSONValue) throws -> TokenizerMetadata? {
    let files = try tokenizerFiles ?? TokenizerFiles(folder: path)
    guard files.hasVocabulary else { return nil }
    return try TokenizerMetadata(
      files: files, configuration: config, architecture: try GGUFFamilies.architecture(modelType: modelType))
  }

  private var naming: GGUFNaming {
    func text(_ name: String) -> [UInt8]? {
      let path = Paths.join(path, name)
      guard Directories.kind(of: path) == .file, let source = try? FileSource(path: path), source.size < 16 << 20
      else { return nil }
      return try? source.bytes(0..<source.size)
    }
    return GGUFNaming(
      folderName: Paths.lastComponent(Paths.withoutTrailingSlashes(path)),
      modelCard: text("README.md").map { String(decoding: $0, as: UTF8.self) },
      generationConfig: text("generation_config.json").flatMap { try? JSONValue(parsing: $0) })
  }

  /// How a sentence model makes one vector of all, by GGUF's number: 1 mean, 2 first token, 3 last token.
  private var pooling: Int? {
    guard let modules = try? JSONValue(file: Paths.join(path, "modules.json")).arrayValue,
      let module = modules.first(where: { $0["type"]?.stringValue?.hasSuffix("Pooling") ?? false }),
      let name = module["path"]?.stringValue,
      let config = try? JSONValue(file: Paths.join(path, Paths.join(name, "config.json")))
    else { return nil }
    let modes = [(1, "pooling_mode_mean_tokens"), (2, "pooling_mode_cls_token"), (3, "pooling_mode_lasttoken")]
    return modes.first { config[$0.1]?.boolValue ?? false }?.0
  }
}
