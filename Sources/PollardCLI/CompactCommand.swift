import ArgumentParser
import Pollard

/// `pollard compact`: a masked checkpoint in, a smaller dense one out.
struct CompactCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact", abstract: "Remove masked heads and neurons and write a smaller model, the same function.")

  @Argument(help: "The model, masked or to be masked.")
  var model: String

  @Argument(help: "The directory, .gguf or .onnx file to write; must not exist unless --force.")
  var output: String

  @Option(name: .long, help: "Mask file (safetensors, JSON, npz, npy or pt); without it, zeros in the weights decide.")
  var masks: String?

  @Option(
    name: .long, help: "Output format: safetensors, gguf or onnx (default: by the output's name, else the input's).")
  var to: String?

  @Option(name: .long, help: "ONNX operator set to write.")
  var opset: Int?

  @Option(name: .long, help: "Counts per layer: auto, ragged or uniform.")
  var shape: String = "auto"

  @Option(name: .customLong("for"), help: "The loader the result must open in: \(loaderNames.joined(separator: ", ")).")
  var loader: String?

  @Option(name: .customLong("round-to"), help: "Keep fill so that feed-forward widths are multiples of this.")
  var roundTo: Int = 1

  @Flag(name: .customLong("no-padding"), help: "Refuse rather than keep dead units as fill.")
  var noPadding = false

  @Flag(name: .long, help: "Round the numbers of packed tensors anew where a cut goes through their blocks.")
  var requantise = false

  @Flag(
    name: .long,
    help: "Remove dead hidden channels of RMSNorm models too and compensate the norms: equal up to rounding.")
  var width = false

  @Option(
    name: .customLong("hidden-norm"),
    help: "With --width and a hidden_mask, channels that the masked model's norms run over: all or kept.")
  var hiddenNorm: String?

  @Flag(name: .long, help: "Remove units that add a constant, and add it to the next bias: equal up to rounding.")
  var fold = false

  @Flag(name: .long, help: "Allow the same function under a more permissive model class.")
  var retarget = false

  @Option(name: .customLong("drop-layers"), help: "Layers to drop, such as 3,7; the others are numbered anew.")
  var dropLayers: String?

  @Flag(name: .customLong("keep-layers"), help: "Keep layers, and parts of layers in ONNX, that add nothing.")
  var keepLayers = false

  @Option(
    name: .customLong("keep-tokens"),
    help: ArgumentHelp("Tokens that stay in the vocabulary: one to a line, ids, or JSON.", valueName: "file"))
  var keepTokens: String?

  @Option(
    name: .customLong("drop-unused"),
    help: ArgumentHelp("Ids of a corpus; tokens that do not occur are removed.", valueName: "corpus-tokens"))
  var dropUnused: String?

  @Option(name: .customLong("max-shard-size"), help: "Split weights into shards of at most this size, such as 5GB.")
  var maxShardSize: String?

  @Flag(name: .customLong("dry-run"), help: "Say what would be done and write nothing.")
  var dryRun = false

  @Flag(name: .long, help: "Verify the result before it is published.")
  var verify = false

  @Flag(name: .long, help: "Replace the output directory if it exists.")
  var force = false

  @OptionGroup var scores: ScoreOptions

  @OptionGroup var global: GlobalOptions

  func run() throws {
    let dropped = try layerNumbers(dropLayers)
    if keepTokens != nil, dropUnused != nil {
      throw UsageError(description: "--keep-tokens and --drop-unused name the tokens that stay in two ways; give one")
    }
    let format = try OutputFormat.choose(to, output: output, verb: "compact")
    guard let shape = ShapePolicy(rawValue: shape) else {
      throw UsageError(description: "--shape takes auto, ragged or uniform, not \(shape)")
    }
    if let loader, !loaderNames.contains(loader) {
      throw UsageError(description: "--for takes one of \(loaderNames.joined(separator: ", ")), not \(loader)")
    }
    guard roundTo >= 1 else { throw UsageError(description: "--round-to takes a number of at least 1") }
    let shardSize = try maxShardSize.map { text in
      guard let size = ShardSize(text) else {
        throw UsageError(description: "--max-shard-size takes a size such as 5GB, not \(text)")
      }
      return size
    }
    let norm = try parsedHiddenNorm(hiddenNorm)
    if norm != nil, !width { throw UsageError(description: "--hidden-norm is a choice of --width") }
    let source = masks.map(MaskSource.file)
    let whole = try Model(at: model, scores: scores.request()).masked(by: source).dropping(layers: dropped)
    let isTrimmed = try keepTokens != nil || dropUnused != nil || masks.map { try whole.hasTokenMask($0) } ?? false
    if width, isTrimmed {
      throw UsageError(description: "--width and a smaller vocabulary take one run each: compact the result again")
    }
    // Channels and tokens are told from a whole model, so layers that add nothing stay where those go.
    let masking = source ?? .zeros
    var model = try selectingTokens(
      of: whole.withoutIdleLayers(
        masks: masking, keepsDead: keepLayers || width || isTrimmed, pool: global.pool))
    if width {
      model = try model.narrowed(
        masks: masking,
        options: WidthOptions(
          norm: norm, roundTo: roundTo, loader: loader, format: format, allowsPadding: !noPadding),
        pool: global.pool)
    }
    if masks != nil, !dryRun { model.prefetch() }
    var options = PlanOptions(
      format: format, shape: shape, loader: loader, roundTo: roundTo, allowsPadding: !noPadding,
      allowsRetarget: retarget,
      requantises: requantise)
    options.folds = fold
    let plan: CompactionPlan
    (model, plan) = try model.planned(
      masks: masking, options: options, pool: global.pool)
    if plan.layers.contains(where: { ($0.neurons?.after ?? 0) % roundTo != 0 }) {
      Console.talk(
        "--round-to \(roundTo): layers that have fewer neurons, or no such multiple, keep all they have", global)
    }
    if dryRun {
      global.print(try model.preview(plan, masks: source))
      return
    }
    let writing = WriteOptions(
      format: format, opset: opset, maxShardSize: shardSize, replacing: force, verifies: verify,
      requantises: requantise)
    let report = try model.compact(plan, to: output, options: writing, pool: global.pool, masks: source) { line in
      Console.talk(line, global)
    }
    global.print(report)
    if report.verification?.equal == false { throw NegativeAnswer() }
  }
}
