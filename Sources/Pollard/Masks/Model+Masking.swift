import CheckpointFormats
import GraphCompaction
import GraphExecution
import ModelArchitectures
import ModelImportance
import PollardBase
import TensorStorage

extension Model {
  /// Scores every unit of a kind; nothing is written.
  ///
  /// - Throws: `CompactionError` `notScorable` where units are of a kind that the metric does not know; what reading weights and running throws.
  public func importance(
    _ request: ImportanceRequest, inputs: [String: Tensor] = [:], pool: ThreadPool = .allProcessors,
    progress: ((String) -> Void)? = nil
  ) throws -> Importance {
    try Importance(of: stored.dimensionMap(), request, inputs: inputs, pool: pool, progress: progress)
  }

  /// Scores units and writes a mask file that removes the least important.
  ///
  /// Where query heads share key/value heads, whole groups go, so that groups stay equal. At least one unit of a kind stays in each layer, unless
  /// the request says otherwise.
  ///
  /// - Parameter scoresOutput: where the scores go; nil for nowhere.
  /// - Throws: `FormatError` from reading weights or writing the mask, `GraphError` from running the model, `CompactionError` `notScorable`.
  @discardableResult
  public func makeMask(
    _ request: MaskRequest, to output: String, scores scoresOutput: String? = nil, replacing: Bool = false,
    pool: ThreadPool = .allProcessors, progress: ((String) -> Void)? = nil
  ) throws -> MaskReport {
    var inputs: [String: Tensor] = [:]
    var paths = inputPaths
    var source = ""
    if request.metric.needsInputs {
      let options = VerificationOptions(
        inputs: request.inputs, batch: request.batch, length: request.length, seed: request.seed)
      inputs = try request.inputs.map(TensorFile.read) ?? RandomInputs.make(for: self, options: options)
      source = RandomInputs.phrase(inputs, options: options)
      if let given = request.inputs { paths.append(given) }
    }
    let importance = try importance(request.importance, inputs: inputs, pool: pool, progress: progress)
    guard importance.layers.contains(where: { !$0.headUnits.isEmpty || !$0.neurons.isEmpty }) else {
      throw CompactionError(
        .notScorable, file: paths.first, expected: "layers with heads or neurons that can be removed", found: "none",
        remedy: "`inspect` names what holds units; channels of convolutions go where their weights are zero")
    }
    let selection = UnitSelection(importance.layers, request)
    var notes = importance.notes + selection.notes
    if request.metric.needsInputs, request.inputs == nil {
      notes.append("scored on random tokens, which say little about real ones: give --inputs")
    }
    let masks = MaskTensors(selection, layers: layers)
    let scoring = importance.request.phrase + (source.isEmpty ? "" : ", on \(source)")
    try writeSafetensors(
      masks.tensors, to: output, replacing: replacing, inputs: paths + [scoresOutput].compactMap { $0 }, pool: pool)
    if let scoresOutput {
      try writeSafetensors(
        ScoreTensors(importance.layers).tensors, to: scoresOutput, replacing: replacing, inputs: paths + [output],
        metadata: ["format": "pt", "scoring": scoring], pool: pool)
    }
    return MaskReport(
      output: output, scoresOutput: scoresOutput, scoring: scoring,
      heads: zip(selection.heads, layers).map { ($0, $1.heads) },
      neurons: zip(masks.neurons, layers).map { ($0.count, $1.feedForward) }, scores: importance.layers, notes: notes)
  }
}

/// Units by layer that go, from scores and a request.
struct UnitSelection {
  /// Query heads.
  var heads: [[Int]] = []
  /// Key/value groups; empty lists where heads have their own.
  var groups: [[Int]] = []
  /// Neurons as the dimension map counts them, which is by blocks where a format keeps these together.
  var neurons: [[Int]] = []
  /// How many of these a layer has.
  var neuronCounts: [Int] = []
  /// Whether some layer's heads share keys and values.
  var isGrouped = false
  /// Things worth knowing.
  var notes: [String] = []

  init(_ scores: [UnitScores], _ request: MaskRequest) {
    isGrouped = scores.contains { $0.queriesPerGroup > 1 }
    neuronCounts = scores.map(\.neuronCount)
    let units = LeastImportant(
      request.heads == nil ? scores.map { _ in [] } : scores.map(\.headUnits),
      sizes: scores.map { layer in layer.headUnits.map { _ in layer.queriesPerGroup } }, request.heads, request.scope,
      keepsOne: !request.emptiesLayers)
    groups = zip(units.chosen, scores).map { $1.groups.isEmpty ? [] : $0.sorted() }
    heads = zip(units.chosen, scores).map { chosen, layer in
      let ratio = layer.queriesPerGroup
      return chosen.sorted().flatMap { $0 * ratio..<($0 + 1) * ratio }
    }
    let runs = LeastImportant(
      request.feedForward == nil ? scores.map { _ in [] } : scores.map(\.neurons),
      sizes: scores.map { layer in layer.neurons.indices.map { layer.neurons(of: $0).count } }, request.feedForward,
      request.scope, keepsOne: !request.emptiesLayers)
    neurons = zip(runs.chosen, scores).map { chosen, layer in chosen.sorted().flatMap { layer.neurons(of: $0) } }
    note(units, isGrouped ? "key/value group" : "head", request.heads, heads)
    let isRun = scores.contains { $0.neuronGroup > 1 }
    note(runs, isRun ? "group of neurons" : "neuron", request.feedForward, neurons)
  }

  private mutating func note(_ choice: LeastImportant, _ kind: String, _ amount: UnitAmount?, _ gone: [[Int]]) {
    guard let amount else { return }
    if !choice.spared.isEmpty {
      let layers = choice.spared.count == 1 ? "layer" : "layers"
      notes.append(
        "one \(kind) stays in \(layers) \(humanIndices(choice.spared)), though more were asked to go; --whole-layers removes all"
      )
    } else if gone.allSatisfy(\.isEmpty) {
      if choice.isEmpty {
        notes.append("no \(kind) can be removed from this model")
      } else if amount != .count(0), amount != .share(0) {
        notes.append("no \(kind) goes: the amount is less than one in a layer")
      }
    } else if choice.missing > 0 {
      notes.append("\(choice.missing) fewer go than asked for: what goes together is a whole \(kind)")
    }
  }
}

/// The tensors of a mask file.
struct MaskTensors {
  /// The tensors by name.
  private(set) var tensors: [(name: String, weight: Weight)] = []
  /// Neurons that go, by layer.
  private(set) var neurons: [[Int]]

  init(_ selection: UnitSelection, layers: [LayerSummary]) {
    neurons = zip(zip(selection.neurons, selection.neuronCounts), layers).map { gone, layer in
      let block = gone.1 > 0 ? max(1, layer.feedForward / gone.1) : 1
      return gone.0.flatMap { $0 * block..<($0 + 1) * block }
    }
    func mask(_ gone: [Int], of count: Int) -> [Float] {
      var mask = Array(repeating: Float(1), count: count)
      for unit in gone where mask.indices.contains(unit) { mask[unit] = 0 }
      return mask
    }
    func add(_ kind: String, _ masks: [[Float]], always: Bool = false) {
      if always || masks.contains(where: { $0.contains(0) }) { tensors += byLayer(kind, masks) }
    }
    add("head_mask", zip(selection.heads, layers).map { mask($0, of: $1.heads) })
    if selection.isGrouped {
      add("kv_group_mask", zip(selection.groups, layers).map { mask($0, of: $1.keyValueHeads) })
    }
    add("ffn_mask", zip(neurons, layers).map { mask($0, of: $1.feedForward) })
    if tensors.isEmpty { add("head_mask", layers.map { mask([], of: $0.heads) }, always: true) }
  }
}

/// The tensors of a file of scores.
struct ScoreTensors {
  /// The tensors by name: `head_scores`, `kv_group_scores`, `ffn_scores`.
  private(set) var tensors: [(name: String, weight: Weight)] = []

  init(_ scores: [UnitScores]) {
    for (kind, lists) in [
      ("head_scores", scores.map(\.heads)), ("kv_group_scores", scores.map(\.groups)),
      ("ffn_scores", scores.map(\.neurons)),
    ] where lists.contains(where: { !$0.isEmpty }) {
      tensors += byLayer(kind, lists.map { $0.map(Float.init) })
    }
  }
}

/// One tensor `[layers, units]` where layers have equally many units, else one for each layer that has any.
private func byLayer(_ kind: String, _ rows: [[Float]]) -> [(name: String, weight: Weight)] {
  if let width = rows.first?.count, rows.allSatisfy({ $0.count == width }) {
    return [(kind, .floats(Array(rows.joined()), shape: [rows.count, width]))]
  }
  return rows.enumerated().filter { !$0.element.isEmpty }.map { layer, row in
    ("layers.\(layer).\(kind)", .floats(row, shape: [row.count]))
  }
}

extension ImportanceRequest {
  /// The metric in words.
  var phrase: String {
    switch metric {
    case .l1, .l2:
      "scores: \(metric == .l1 ? "sum of magnitudes" : "root of the sum of squares") of "
        + (slices == .output ? "the weights that read a unit" : "all weights of a unit")
    case .activation:
      norm == .l2
        ? "scores: mean L2 norm of what a unit adds to the stream"
        : "scores: mean magnitude of what a unit adds to the stream"
    case .ablation: "scores: relative L2 distance of the outputs without the unit"
    case .random: "scores: random, seed \(seed)"
    }
  }
}

/// Writes a single safetensors file, whole or not at all.
func writeSafetensors(
  _ tensors: [(name: String, weight: Weight)], to path: String, replacing: Bool, inputs: [String],
  metadata: SafetensorsMetadata = ["format": "pt"], pool: ThreadPool
) throws(FormatError) {
  let layout = try SafetensorsLayout(
    tensors.map { TensorDeclaration(name: $0.name, type: $0.weight.type, shape: $0.weight.shape) },
    metadata: metadata)
  let output = try AtomicFile(path: path, replacing: replacing, inputs: inputs)
  try output.file.write(layout.header)
  let items = zip(layout.tensors, layout.givenPositions).map { record, position in
    (weight: tensors[position].weight, fileOffset: record.byteRange.lowerBound)
  }
  try StreamingWriter.write(items, to: output.file, threads: pool)
  try output.commit()
}
