import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import ModelGraph
import PollardBase
import TensorStorage

/// A transformer model on disk, understood from its headers; the weights stay where they are.
///
///     let model = try Model(at: "bert-base-masked")
///     print(model.summary.text)
///     let plan = try model.plan(masks: .zeros)
///     try model.compact(plan, to: "bert-small")
///     let report = try verify(original: "bert-base-masked", compacted: "bert-small")
///     precondition(report.equal)
public struct Model: Sendable {
  /// The path it was opened at.
  public let path: String
  /// The model as its format holds it.
  package let stored: any StoredModel
  /// The model as it was read, with all its layers.
  let base: any StoredModel
  /// What was left out after reading.
  package let removals: LayerRemovals
  /// Sentences about layers that could not be left out.
  var layerNotes: [String] = []

  /// Layers that were left out on request, by their numbers in the file.
  public var droppedLayers: [Int] { removals.dropped }
  /// Layers that were left out because they add nothing, by their numbers in the file.
  public var deadLayers: [Int] { removals.dead }
  /// The model before residual channels were removed, and what became of them; nil while it has them all.
  package private(set) var narrowing: Narrowing?
  /// What became of the vocabulary, when tokens were removed after reading.
  public private(set) var vocabulary: TrimmedVocabulary?
  /// The model before tokens were removed.
  private var storedWhole: (any StoredModel)?
  /// The mask file whose factors of parameters have been multiplied in.
  let masksFile: String?

  /// The counts of every layer in the file.
  var storedLayers: [LayerSummary] { base.layers }

  /// What no output file may replace.
  var inputPaths: [String] { [path] + stored.inputPaths }

  /// Opens a Hugging Face directory, a weight file in one, its shard index, a GGUF or an ONNX file.
  ///
  /// - Parameters:
  ///   - allowingRagged: takes per-layer counts from the tensors where the configuration has one count for all layers, as a
  ///     ragged compaction leaves it; a directory with a receipt is read so in any case.
  ///   - scores: from where on mask scores keep that a checkpoint of movement pruning holds.
  /// - Throws: `FormatError`, naming file, tensor or key.
  /// - Complexity: O(size of the headers); no weights are read, except for mask scores.
  public init(at path: String, allowingRagged: Bool = false, scores: ScoreRequest = ScoreRequest()) throws {
    self.path = path
    removals = LayerRemovals()
    masksFile = nil
    if path.hasSuffix(".gguf") || GGUFCheckpoint.recognizes(path) {
      stored = try GGUFStoredModel(at: path)
    } else if try ONNXStoredModel.recognizes(path) {
      stored = try ONNXStoredModel(at: path)
    } else {
      stored = try HuggingFaceModel(at: path, allowingRagged: allowingRagged, scores: scores)
    }
    base = stored
    if !scores.isEmpty, !(stored is HuggingFaceModel) {
      throw CompactionError(
        .optionDoesNotApply, subject: .option("--threshold"), expected: "a checkpoint with mask_scores",
        found: "a model in \(stored.format.rawValue)")
    }
  }

  init(_ whole: Model, _ stored: any StoredModel, _ removals: LayerRemovals) {
    path = whole.path
    base = whole.base
    self.stored = stored
    self.removals = removals
    masksFile = whole.masksFile
  }

  /// The model with what a mask file says of parameters multiplied in.
  init(_ whole: Model, _ stored: any StoredModel, masksFile: String) {
    path = whole.path
    base = stored
    self.stored = stored
    removals = whole.removals
    self.masksFile = masksFile
  }

  /// The same function under a class that has a bias for attention's output, as zeros; nil where there is none.
  func withOutputBiases() throws -> Model? {
    try stored.withOutputBiases().map {
      var model = Model(self, $0, removals)
      model.narrowing = narrowing
      model.layerNotes = layerNotes
      (model.vocabulary, model.storedWhole) = (vocabulary, storedWhole)
      return model
    }
  }

  /// The model with all its residual channels.
  var unnarrowed: Model { narrowing.map { Model(self, $0.whole, removals) } ?? self }

  /// The model with a narrower one in its place.
  init(_ whole: Model, narrowed stored: any StoredModel, _ narrowing: Narrowing) {
    self.init(whole, stored, whole.removals)
    layerNotes = whole.layerNotes
    self.narrowing = narrowing
  }

  /// The masks of residual channels in a file; nil where it says nothing of them.
  func channelMask(file: String) throws -> MaskTable.Channels? {
    try masksParametersOnly(file) ? nil : MaskTable(file: file, layers: base.layers).channels
  }

  /// A model with fewer tokens, or one with all of them again.
  init(_ other: Model, _ stored: any StoredModel, vocabulary: TrimmedVocabulary?) {
    self.init(other, stored, other.removals)
    layerNotes = other.layerNotes
    self.vocabulary = vocabulary
    storedWhole = vocabulary == nil ? nil : other.stored
  }

  /// The model with all its tokens; nil where none were removed.
  var whole: Model? { storedWhole.map { Model(self, $0, vocabulary: nil) } }

  /// The masks of a file, as it has them.
  func maskTable(file: String) throws -> MaskTable {
    try MaskTable(file: file, layers: base.layers)
  }

  /// The computation.
  public var graph: Graph { stored.graph }
  /// The format it was read from.
  public var format: ModelFormat { stored.format }
  /// The number of parameters; tied storage counts once, buffers not at all.
  public var parameterCount: Int { stored.parameterCount }
  /// What a compaction by this tool left with the weights; nil for any other model.
  public var receipt: Receipt? { stored.receipt }

  /// Begins to bring the weights into the system's cache, for work that is about to read nearly all of them.
  package func prefetch() { stored.prefetch() }

  /// The counts of every layer.
  public var layers: [LayerSummary] { stored.layers }

  /// Structure, parameters and bytes.
  public var summary: Inspection { Inspection(self) }

  /// Plans a compaction; nothing is written.
  ///
  /// - Throws: `CompactionError` for a request that cannot be honoured, `FormatError` for files that cannot be read.
  public func plan(
    masks: MaskSource = .zeros, options: PlanOptions = PlanOptions(), pool: ThreadPool = .allProcessors
  ) throws -> CompactionPlan {
    var mask: UnitMask?
    if case .file(let path) = masks {
      mask = try unitMask(file: path)
      if narrowing == nil, try channelMask(file: path)?.selection != nil {
        throw CompactionError(.widthNotAsked, file: path, remedy: "ask for it with --width")
      }
    }
    if mask == nil {
      prefetch()
      try stored.checkIntegrity(pool: pool)
    }
    let map = try stored.dimensionMap()
    let request = CompactionRequest(
      mask: mask, shape: options.shape, loader: options.loader, roundTo: options.roundTo,
      requantizes: options.requantises, writesBlocks: options.writesBlocks && (options.format ?? format) == .gguf,
      allowsPadding: options.allowsPadding,
      allowsRetarget: options.allowsRetarget
    ).folding(options.folds, writing: options.format ?? format)
    return try CompactionPlan(
      map: map, request: request, rules: try stored.loaderRules(writing: options.format ?? format), pool: pool)
  }
}

/// What a plan may do.
public struct PlanOptions: Sendable, Hashable {
  /// The format the result is written in; nil for the input's own.
  public var format: ModelFormat?
  /// The counts of the layers relative to each other.
  public var shape: ShapePolicy
  /// The loader the result must open in; nil for the one that holds the most.
  public var loader: String?
  /// Feed-forward widths are filled up to multiples of this.
  public var roundTo: Int
  /// Whether units that asked to go may stay as fill.
  public var allowsPadding: Bool
  /// Whether the same function may be written under a more permissive class.
  public var allowsRetarget: Bool
  /// Whether packed numbers may be rounded anew where a cut goes through their blocks.
  public var requantises: Bool
  /// Whether units that contribute a constant go and a bias takes up what they contribute: equal up to rounding.
  public var folds = false
  /// Whether units share the fate of their block where the output is packed; a report of what is dead looks at each alone.
  var writesBlocks = true

  /// Creates options; the defaults are the command line's.
  public init(
    format: ModelFormat? = nil, shape: ShapePolicy = .auto, loader: String? = nil, roundTo: Int = 1,
    allowsPadding: Bool = true,
    allowsRetarget: Bool = false, requantises: Bool = false
  ) {
    self.format = format
    self.shape = shape
    self.loader = loader
    self.roundTo = roundTo
    self.allowsPadding = allowsPadding
    self.allowsRetarget = allowsRetarget
    self.requantises = requantises
  }
}

/// The names `--for` takes.
public let loaderNames = ["transformers-4", "transformers-5", "llama.cpp", "onnxruntime", "vllm"]

extension ThreadPool {
  /// A pool with a thread for each processor.
  public static var allProcessors: ThreadPool { ThreadPool(threadCount: availableProcessorCount()) }
}
