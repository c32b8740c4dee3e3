import CheckpointFormats
import GraphCompaction
import PollardBase
import TensorStorage

/// What a mask that was made removes.
public struct MaskReport: Report {
  /// The file that was written.
  public var output: String
  /// Heads removed and all heads, by layer.
  public var heads: [(removed: [Int], of: Int)]
  /// Neurons removed and all neurons, by layer.
  public var neurons: [(removed: Int, of: Int)]
  /// Things worth knowing, in sentences.
  public var notes: [String]

  /// The document that `--json` prints.
  public var json: JSONValue {
    [
      "schema": reportSchema, "output": JSONValue(output),
      "layers": .array(
        zip(heads, neurons).enumerated().map { index, layer in
          [
            "index": JSONValue(index),
            "heads": ["before": JSONValue(layer.0.of), "removed": .array(layer.0.removed.map { JSONValue($0) })],
            "ffn": ["before": JSONValue(layer.1.of), "removed_count": JSONValue(layer.1.removed)],
          ]
        }),
      "notes": .array(notes.map { JSONValue($0) }),
    ]
  }

  /// The text that people read.
  public var text: String {
    var table = TextTable(["layer", "#heads", "removed", "#neurons", "#removed"])
    for (index, (heads, neurons)) in zip(heads, neurons).enumerated() {
      table.add(
        "\(index)", "\(heads.of)", "\(heads.removed.count): " + humanIndices(heads.removed), "\(neurons.of)",
        "\(neurons.removed)")
    }
    return ([table.text] + notes.map { "  note: " + $0 } + ["", "wrote \(escapedForTerminal(output))"]).joined(
      separator: "\n")
  }
}

extension Model {
  /// Scores units and writes a mask file that removes the least important.
  ///
  /// Where query heads share key/value heads, whole groups go, so that groups stay equal. At least one unit of a kind stays in each layer.
  ///
  /// - Throws: `FormatError` from reading weights or writing the mask.
  @discardableResult
  public func makeMask(
    _ request: MaskRequest, to output: String, replacing: Bool = false, pool: ThreadPool = .allProcessors
  ) throws -> MaskReport {
    let map = try stored.dimensionMap()
    let scores = try map.scores(request.metric, seed: request.seed, pool: pool)
    var notes: [String] = []
    let ratios = scores.map(\.queriesPerGroup)
    let isGrouped = ratios.contains { $0 > 1 }
    let groups = scores.map { layer in
      stride(from: 0, to: layer.heads.count, by: layer.queriesPerGroup).map { start in
        layer.heads[start..<start + layer.queriesPerGroup].reduce(0) { $0 + (request.metric == .l2 ? $1 * $1 : $1) }
      }
    }
    var amount = request.heads
    if isGrouped, case .count(let count)? = amount, let ratio = ratios.max() {
      amount = .count(count / ratio)
      if count % ratio != 0 { notes.append("heads go in whole key/value groups of \(ratio)") }
    }
    let goneGroups = LeastImportant.choose(groups, amount, request.scope)
    let goneHeads = zip(goneGroups, ratios).map { gone, ratio in gone.flatMap { $0 * ratio..<($0 + 1) * ratio }.sorted()
    }
    let goneNeurons = LeastImportant.choose(scores.map(\.neurons), request.feedForward, request.scope)
    if let heads = request.heads,
      zip(goneHeads, scores).contains(where: { heads.units(of: $1.heads.count) > $0.count }),
      request.scope == .layer, goneHeads.contains(where: { !$0.isEmpty }), !isGrouped
    {
      notes.append("one head stays in each layer, though more were asked to go")
    }
    if let neurons = request.feedForward, request.scope == .layer,
      zip(goneNeurons, scores).contains(where: { neurons.units(of: $1.neurons.count) > $0.count })
    {
      notes.append("one neuron stays in each layer, though more were asked to go")
    }
    if request.heads != nil, goneHeads.allSatisfy(\.isEmpty) {
      notes.append(
        isGrouped
          ? "no head goes: the amount is less than one key/value group in a layer"
          : "no head goes: the amount is less than one in a layer")
    }

    var tensors: [(name: String, weight: Weight)] = []
    func add(_ kind: String, _ masks: [[Float]]) {
      guard masks.contains(where: { $0.contains(0) }) else { return }
      if let width = masks.first?.count, masks.allSatisfy({ $0.count == width }) {
        tensors.append((kind, .floats(Array(masks.joined()), shape: [masks.count, width])))
      } else {
        for (layer, mask) in masks.enumerated() {
          tensors.append(("layers.\(layer).\(kind)", .floats(mask, shape: [mask.count])))
        }
      }
    }
    func mask(_ gone: some Collection<Int>, of count: Int) -> [Float] {
      var mask = Array(repeating: Float(1), count: count)
      for unit in gone { mask[unit] = 0 }
      return mask
    }
    add("head_mask", zip(goneHeads, layers).map { mask($0, of: $1.heads) })
    if isGrouped { add("kv_group_mask", zip(goneGroups, layers).map { mask($0, of: $1.keyValueHeads) }) }
    add("ffn_mask", zip(goneNeurons, layers).map { mask($0, of: $1.feedForward) })
    if tensors.isEmpty {
      tensors.append(
        (
          "head_mask",
          .floats(
            Array(layers.map { mask([], of: $0.heads) }.joined()), shape: [layers.count, layers.first?.heads ?? 0])
        ))
    }
    try writeSafetensors(tensors, to: output, replacing: replacing, inputs: inputPaths, pool: pool)
    return MaskReport(
      output: output, heads: zip(goneHeads, layers).map { ($0, $1.heads) },
      neurons: zip(goneNeurons, layers).map { ($0.count, $1.feedForward) }, notes: notes)
  }
}

/// Writes a single safetensors file, whole or not at all.
func writeSafetensors(
  _ tensors: [(name: String, weight: Weight)], to path: String, replacing: Bool, inputs: [String], pool: ThreadPool
) throws(FormatError) {
  let layout = try SafetensorsLayout(
    tensors.map { TensorDeclaration(name: $0.name, type: $0.weight.type, shape: $0.weight.shape) },
    metadata: ["format": "pt"])
  let output = try AtomicFile(path: path, replacing: replacing, inputs: inputs)
  try output.file.write(layout.header)
  let items = zip(layout.tensors, layout.givenPositions).map { record, position in
    (weight: tensors[position].weight, fileOffset: record.byteRange.lowerBound)
  }
  try StreamingWriter.write(items, to: output.file, threads: pool)
  try output.commit()
}
