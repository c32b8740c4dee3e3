import CheckpointFormats
import GraphCompaction
import ModelArchitectures
import PollardBase

/// What is inside a model, from its headers.
public struct Inspection: Report {
  /// One stored tensor.
  public struct TensorLine: Sendable {
    /// The name.
    public var name: String
    /// The element type's spelling in the file.
    public var type: String
    /// The extents.
    public var shape: [Int]
    /// The bytes it takes.
    public var bytes: Int
    /// The file that holds it.
    public var file: String

    /// The number of elements; what a file claims beyond what numbers hold counts as the most there are.
    var elementCount: Int {
      shape.reduce(1) { product, extent in
        let (next, overflow) = product.multipliedReportingOverflow(by: extent)
        return overflow ? .max : next
      }
    }
  }

  /// The path that was inspected.
  public var path: String
  /// `safetensors`, `pytorch`, `gguf` or `onnx`.
  public var format: String
  /// The class the model computes, nil when there is no configuration that says.
  public var architecture: String?
  /// Parameters; tied storage once, buffers not at all.
  public var parameters: Int
  /// Bytes of all tensors.
  public var bytes: Int
  /// The number of weight files.
  public var fileCount: Int
  /// Element types with their number of parameters, most first.
  public var types: [(name: String, parameters: Int)]
  /// The counts of every layer; empty when the architecture is not known.
  public var layers: [LayerSummary]
  /// Every stored tensor, in the order of the files.
  public var tensors: [TensorLine]
  /// What is known of the tokenizer: facts with their values; nil where none comes with the model.
  public var tokenizer: [(name: String, value: String)]?
  /// Things worth knowing, in sentences.
  public var notes: [String]
  /// Dead and constant units, when they were looked for.
  public var sparsity: SparsityReport?
  /// Whether the reports list every tensor.
  public var listsTensors = false

  init(_ model: Model) {
    let stored = model.stored
    self.init(path: model.path, format: stored.format, tensors: stored.tensorLines)
    format = stored.formatName
    architecture = stored.className
    parameters = stored.parameterCount
    layers = stored.layers
    tokenizer = stored.tokenizerFacts
    notes = stored.notes
    if model.receipt != nil { notes.append("compacted by Pollard; its receipt tells from what") }
  }

  /// What headers alone say.
  init(path: String, format: ModelFormat, tensors: [TensorLine]) {
    self.path = path
    self.format = format.rawValue
    self.tensors = tensors
    fileCount = max(1, Set(tensors.map(\.file)).count)
    bytes = tensors.reduce(0) { $0 + $1.bytes }
    parameters = tensors.reduce(0) { $0 + $1.elementCount }
    layers = []
    notes = []
    var counts: [String: Int] = [:]
    for tensor in tensors { counts[tensor.type, default: 0] += tensor.elementCount }
    types = counts.map { (name: $0.key, parameters: $0.value) }.sorted {
      ($1.parameters, $0.name) < ($0.parameters, $1.name)
    }
  }

  /// The lines of a safetensors or PyTorch checkpoint, in the order of its files.
  static func lines(of checkpoint: Checkpoint) -> [TensorLine] {
    checkpoint.tensors.map { tensor in
      TensorLine(
        name: tensor.name, type: tensor.type.name, shape: tensor.shape.extents, bytes: tensor.byteCount,
        file: checkpoint.fileNames[tensor.file])
    }
  }

  /// The document that `--json` prints.
  public var json: JSONValue {
    var object: JSONObject = [
      "schema": reportSchema, "format": JSONValue(format), "architecture": architecture.map { JSONValue($0) } ?? .null,
      "parameters": JSONValue(parameters), "bytes": JSONValue(bytes),
      "layers": .array(layers.map(\.json)),
      "tensors": .array(
        tensors.map { tensor in
          [
            "name": JSONValue(tensor.name), "dtype": JSONValue(tensor.type),
            "shape": .array(tensor.shape.map { JSONValue($0) }), "bytes": JSONValue(tensor.bytes),
            "file": JSONValue(tensor.file),
          ]
        }),
      "tokenizer": tokenizer.map { .object(JSONObject($0.map { (key: $0.name, value: JSONValue($0.value)) })) }
        ?? .null,
      "notes": .array(notes.map { JSONValue($0) }),
    ]
    if let sparsity { object.set("sparsity", to: sparsity.json) }
    return .object(object)
  }

  /// The text that people read.
  public var text: String {
    var lines = [escapedForTerminal(path)]
    let types = types.prefix(3).map { "\($0.name)" }.joined(separator: ", ")
    lines.append("  architecture  \(architecture.map(escapedForTerminal) ?? "unknown")")
    lines.append("  parameters    \(humanCount(parameters))")
    lines.append(
      "  bytes         \(humanBytes(bytes)) in \(fileCount == 1 ? "1 file" : "\(fileCount) files"), \(format), \(types)"
    )
    if let tokenizer {
      let facts = tokenizer.map { $0.name == "model" ? $0.value : "\($0.name) \($0.value)" }
      lines.append("  tokenizer     \(escapedForTerminal(facts.joined(separator: ", ")))")
    }
    if !layers.isEmpty { lines += ["", layerTable] }
    if let sparsity { lines += ["", sparsity.text] }
    if listsTensors { lines += ["", tensorTable] }
    if !notes.isEmpty { lines += [""] + notes.map { "  note: " + escapedForTerminal($0) } }
    return lines.joined(separator: "\n")
  }

  /// One line for each run of equal layers.
  private var layerTable: String {
    let isGrouped = layers.contains { $0.heads != $0.keyValueHeads }
    var table = TextTable(["layers", "#heads", isGrouped ? "#key/value heads" : "#", "#head size", "#neurons"])
    var start = 0
    while start < layers.count {
      var end = start
      while end + 1 < layers.count, layers[end + 1].hasSameCounts(as: layers[start]) { end += 1 }
      let layer = layers[start]
      table.add(
        start == end ? "\(start)" : "\(start)-\(end)", "\(layer.heads)", isGrouped ? "\(layer.keyValueHeads)" : "",
        "\(layer.headDim)", "\(layer.feedForward)")
      start = end + 1
    }
    return table.text
  }

  private var tensorTable: String {
    var table = TextTable(["tensor", "type", "shape", "#bytes"])
    for tensor in tensors {
      table.add(escapedForTerminal(tensor.name), tensor.type, "\(tensor.shape)", humanCount(tensor.bytes))
    }
    return table.text
  }
}

/// Inspects a model; where its architecture is not known, headers alone are shown with the reason.
///
/// - Throws: `FormatError` when the weights' headers cannot be read.
public func inspect(_ path: String, scores: ScoreRequest = ScoreRequest()) throws -> Inspection {
  var scores = scores
  scores.allowsUndecided = true
  do {
    return Inspection(try Model(at: path, scores: scores))
  } catch let error as FormatError {
    if let headers = try? GGUFCheckpoint(at: path) { return Inspection(headers, path: path, because: error) }
    guard
      [
        "unknownArchitecture", "missingConfiguration", "unsupportedClass", "unsupportedConfiguration",
        "quantizedCheckpoint",
      ]
      .contains(error.code.name)
    else { throw error }
    let checkpoint = try Checkpoint(at: path)
    var result = Inspection(path: path, format: .safetensors, tensors: Inspection.lines(of: checkpoint))
    if checkpoint.isPyTorch { result.format = pytorchFormatName }
    result.notes += checkpoint.notes + [error.description]
    return result
  }
}

extension Inspection {
  /// What the headers of a GGUF file say whose model is not understood; a file without tensors is only a vocabulary.
  fileprivate init(_ checkpoint: GGUFCheckpoint, path: String, because error: FormatError) {
    self.init(path: path, format: .gguf, tensors: Inspection.lines(of: checkpoint))
    architecture = checkpoint.metadata["general.architecture"]?.text
    tokenizer = TokenizerMetadata(checkpoint.metadata).facts
    notes.append(checkpoint.tensors.isEmpty ? "the file holds a vocabulary and no tensors" : error.description)
  }
}

extension LayerSummary {
  /// The keys of `inspect --json`.
  var json: JSONValue {
    [
      "index": JSONValue(index), "heads": JSONValue(heads), "key_value_heads": JSONValue(keyValueHeads),
      "head_dim": JSONValue(headDim), "ffn": JSONValue(feedForward),
    ]
  }

  /// Whether all counts agree.
  func hasSameCounts(as other: LayerSummary) -> Bool {
    (heads, keyValueHeads, headDim, feedForward)
      == (other.heads, other.keyValueHeads, other.headDim, other.feedForward)
  }
}
