import PollardBase

/// One family's two spellings: what a GGUF file and a Hugging Face checkpoint of the same model say, row by row.
///
/// Read forwards the table writes GGUF; read backwards it gives a configuration and tensors that `ImportedModel` takes. Hooks are for what no
/// row can say.
struct GGUFFamily: Sendable {
  /// `general.architecture`.
  var architecture: String
  /// `model_type` of the configuration.
  var modelType: String
  /// The class that a file is read as.
  var className: String
  /// Whether the class has a head, so that names of the base model's tensors get its prefix.
  var isPrefixed = true
  /// The keys in the order in which the reference converter writes them, between `general.*` names and the tokenizer.
  var metadata: [GGUFMetadataRow]
  /// Keys that stand before all others but the architecture's, where the reference converter makes them with the tensors.
  var leadingMetadata: [GGUFMetadataRow] = []
  /// Tensors outside the layers.
  var tensors: [GGUFTensorRow]
  /// The stacks of layers.
  var blocks: [GGUFBlockTable]
  /// Names of checkpoint tensors that GGUF has no place for, without base prefix; a trailing `*` stands for any rest.
  var dropped: [String] = []
  /// What of removed units llama.cpp takes of this architecture.
  var capability = GGUFCapability()
  /// Whether a file with this architecture string is of this family, where several share it; the first that says yes counts.
  var isRecognized: @Sendable (GGUFReading) -> Bool = { _ in true }
  /// Adapts the table to a configuration that is written.
  var prepareWriting: @Sendable (inout GGUFFamily, _ config: JSONValue) -> Void = { _, _ in }
  /// Completes the configuration after the rows have been read.
  var completeConfiguration: @Sendable (GGUFReading, inout JSONObject) throws(FormatError) -> Void = { _, _ in }
  /// Checks and facts before a model is written: throws for what llama.cpp cannot compute, returns sentences worth telling.
  var checkWriting: @Sendable (GGUFWriting) throws(FormatError) -> [String] = { _ in [] }
  /// Tensors that no checkpoint has and the file needs, in front of all others.
  var extraTensors: @Sendable (GGUFWriting) throws(FormatError) -> [GGUFExtraTensor] = { _ in [] }
  /// How many of the first rows of the position table GGUF leaves out.
  var positionOffset: @Sendable (_ config: JSONValue) -> Int = { _ in 0 }
  /// The rule by which layers see a window of keys, where their number tells it.
  var slidingPattern: GGUFSlidingPattern?
  /// Numbers of layers by which llama.cpp recognises a size that computes differently; dropping layers from or to them is refused.
  var specialLayerCounts: [Int] = []
}

/// A stack of layers: how its tensors are named on both sides.
struct GGUFBlockTable: Sendable {
  /// What stands before the layer's number in GGUF: `blk.`.
  var prefix: String
  /// What stands before it in the checkpoint, without the base model's prefix: `layers.`.
  var checkpointPrefix: String
  /// The key with the number of layers, without the architecture.
  var countKey = "block_count"
  /// The tensors of one layer.
  var rows: [GGUFTensorRow]
}

/// What llama.cpp takes of removed units under one architecture.
struct GGUFCapability: Sendable {
  /// How far counts can differ from the original's.
  enum Counts: Sendable, Hashable {
    /// The original's only.
    case fixed
    /// One count for all layers.
    case uniform
    /// One count for all layers, and the same original units in each, because the layers share a table that has a column for each.
    case uniformAlike
    /// Another count in each layer.
    case perLayer
  }

  /// Of attention heads.
  var heads = Counts.fixed
  /// Of feed-forward neurons.
  var feedForward = Counts.uniform
  /// Why heads are fixed.
  var remark = "attention matrices are square, so removed heads stay as zeros"
  /// The architecture that computes the same with another count in every layer; nil when there is none.
  var carrier: @Sendable (GGUFCarrierQuestion) -> String? = { _ in nil }

  init(
    heads: Counts = .fixed, feedForward: Counts = .uniform, remark: String? = nil,
    carrier: @escaping @Sendable (GGUFCarrierQuestion) -> String? = { _ in nil }
  ) {
    self.heads = heads
    self.feedForward = feedForward
    if let remark { self.remark = remark }
    self.carrier = carrier
  }
}

/// What decides whether a model can be carried by an architecture with counts for every layer.
struct GGUFCarrierQuestion: Sendable {
  /// Whether the output matrix is the embedding.
  var isTied: Bool
  /// Whether any layer sees a window of keys only, or is otherwise not plain.
  var isPlain: Bool
}

/// Layers that see a window of keys, by their number: all but the last of every `period`.
struct GGUFSlidingPattern: Sendable {
  var period: Int
  /// Whether at least one layer must have a window for the loader not to end the process.
  var needsOne = false
}

/// A tensor that no checkpoint has.
struct GGUFExtraTensor: Sendable {
  var name: String
  var values: [Float]
}
