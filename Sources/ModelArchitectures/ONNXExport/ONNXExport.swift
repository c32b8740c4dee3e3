import CheckpointFormats
import ModelGraph
import PollardBase
import TensorStorage

/// A model of any architecture as the message tree of an ONNX file, ready for `ONNXWriter`.
///
///     let export = try ONNXExport(imported, options: ONNXExport.Options())
///     try ONNXWriter(export.model, to: "model.onnx").write(threads: pool)
///
/// The graph is the model's own, lowered to the operator set. Inputs and outputs have the names and open axes of optimum's exports:
/// `input_ids`, `attention_mask`, for BERT `token_type_ids`, all `[batch_size, sequence_length]`; `last_hidden_state`, `pooler_output`, `logits` …
/// Positions are computed inside.
///
/// Initializers have the names of the checkpoint's tensors; a matrix stored outputs first, which MatMul takes inputs first, is written the
/// other way round under its name and `.transposed`. A matrix tied to the embedding is written once and turned by a node.
///
/// Weights are written in their stored type and cast to single precision by a node each, which ONNX Runtime does when it loads the file:
/// everything is computed in single precision, as here. Tables that rows are taken from are cast behind the Gather.
public struct ONNXExport: Sendable {
  /// What may be chosen.
  public struct Options: Sendable {
    /// The version of ONNX's operators; see `defaultOperatorSet`.
    public var operatorSet = ONNXExport.defaultOperatorSet
    /// The type in which weights are written: F32, F16 or BF16; nil for the type in which each is stored.
    public var type: ElementType?
    /// Names of derived inputs that stay inputs; nil for those that optimum has. `position_ids` may be added.
    public var inputs: Set<String>?
    /// What the file says of the program that wrote it.
    public var producerVersion = ""
    /// Entries of `metadata_props`, such as the receipt of a compaction under `pollard.compaction`.
    public var metadata: [(key: String, value: String)] = []

    /// The defaults.
    public init() {}
  }

  /// The operator set of exports unless another is asked for.
  ///
  /// Every ONNX Runtime since 1.12 opens it. Newer sets gain nothing there: BERT-base and a model in TinyLlama's shapes take the same time in sets
  /// 17, 20 and 23 (within 4 %, set 17 first), because the runtime fuses what is decomposed. Attention, which set 23 brought, was corrected after
  /// its publication, so that its meaning depends on the runtime's age; what it is decomposed to does not.
  public static let defaultOperatorSet = 17

  /// The operator sets that can be asked for.
  public static let operatorSets = Graph.oldestOperatorSet...Node.currentVersion

  /// The message tree; weights are lazy.
  public let model: ONNXModel
  /// The graph that it says, lowered.
  public let graph: Graph
  /// Things worth telling, as full sentences without the stop.
  public let notes: [String]

  /// Writes a model's graph as messages; weights are not read.
  ///
  /// - Parameters:
  ///   - imported: the model.
  ///   - graph: its graph after a pass that kept the initializers' names, as a compaction does; nil for its own.
  /// - Throws: `unsupported` when the operator set or the type cannot be written.
  /// - Complexity: O(nodes + tensors).
  public init(_ imported: ImportedModel, graph changed: Graph? = nil, options: Options = Options()) throws(GraphError) {
    let types = try StoredTypes(imported.bindings, options: options)
    let kept = options.inputs ?? Self.inputs(of: imported.modelType)
    var graph = try (changed ?? imported.graph).computingDerivedInputs(keeping: kept)
    graph.tieMatrices(imported.bindings)
    graph.store(imported.bindings, types)
    graph.nameTransposed(imported.bindings)
    if options.operatorSet >= 23 { graph = try graph.expandingAttentionMasks() }
    graph = try graph.lowered(to: options.operatorSet, without: Self.missingKernels)
    var model = ONNXModel()
    model.irVersion = ONNXOperatorSet.irVersion(for: options.operatorSet)
    model.producerName = "pollard"
    model.producerVersion = ByteString(options.producerVersion)
    model.graph = try ONNXGraph(graph)
    model.operatorSets = [ONNXOperatorSet(domain: "", version: Int64(options.operatorSet))]
    model.metadata = options.metadata.map { ONNXEntry(ByteString($0.key), ByteString($0.value)) }
    self.model = model
    self.graph = graph
    notes = types.notes + Self.notes(for: options.operatorSet)
  }

  /// Operators of the newest sets for which ONNX Runtime 1.31 has no processor kernel.
  static let missingKernels: Set<String> = ["Swish", "SwiGLU"]

  /// The newest operator set that ONNX Runtime 1.31 opens.
  static let newestRuntimeOperatorSet = 26

  private static func notes(for operatorSet: Int) -> [String] {
    guard operatorSet > newestRuntimeOperatorSet else { return [] }
    return ["ONNX Runtime 1.31 opens operator sets up to \(newestRuntimeOperatorSet), not \(operatorSet)"]
  }

  /// The derived inputs that optimum's exports of a class have.
  static func inputs(of modelType: String) -> Set<String> {
    switch modelType {
    case "bert": ["attention_mask", "token_type_ids"]
    case "t5": ["attention_mask", "decoder_attention_mask"]
    default: ["attention_mask"]
    }
  }
}

extension ONNXOperatorSet {
  /// The file format of the first release of ONNX that has an operator set: older readers of the set refuse a newer one.
  static func irVersion(for operatorSet: Int) -> Int64 {
    let releases: [(operatorSet: Int, irVersion: Int64)] = [
      (11, 6), (12, 7), (15, 8), (19, 9), (21, 10), (23, 11), (24, 12), (25, 13), (28, 14),
    ]
    return releases.last { $0.operatorSet <= operatorSet }?.irVersion ?? 6
  }
}
