import GraphCompaction
import ModelArchitectures
import PollardBase

/// What a compaction did, or would do.
public struct CompactionReport: Report {
  /// The output's path; nil for a dry run.
  public var output: String?
  /// Parameters before and after.
  public var parameters: (before: Int, after: Int)
  /// Bytes of the weight files before and after.
  public var bytes: (before: Int, after: Int)
  /// What happened.
  public var plan: CompactionPlan
  /// The layers afterwards.
  public var layers: [LayerSummary]
  /// The layers before.
  public var layersBefore: [LayerSummary]
  /// Whether the output is a faithful copy, because there was nothing to remove.
  public var isCopy: Bool
  /// The class the result is written for, when it is not the original's.
  public var carrier: String?
  /// What was left out of the original before units were looked at; the other layers are numbered anew.
  var removals = LayerRemovals()
  /// What became of the residual channels; nil when nobody asked.
  public var width: WidthPlan?
  /// What became of the vocabulary, when tokens were removed.
  public var vocabulary: TrimmedVocabulary?
  /// The original's layers that were dropped on request.
  public var droppedLayers: [Int] { removals.dropped }
  /// The original's layers that were left out because they add nothing.
  public var deadLayers: [Int] { removals.dead }
  /// Weight files in other formats that were not carried over.
  public var leftBehind: [String] = []
  /// Things worth knowing, in sentences.
  public var notes: [String] = []
  /// The verification, when it was asked for.
  public var verification: Verification?

  /// The document that `--json` prints.
  public var json: JSONValue {
    var object: JSONObject = [
      "schema": reportSchema,
      "output": output.map { JSONValue($0) } ?? .null,
      "parameters": ["before": JSONValue(parameters.before), "after": JSONValue(parameters.after)],
      "bytes": ["before": JSONValue(bytes.before), "after": JSONValue(bytes.after)],
      "layers": .array(zip(plan.layers, zip(layersBefore, layers)).map { Self.layer($0, $1.0, $1.1) }),
      "dimensions": .array(
        plan.dimensions.map { dimension in
          [
            "name": JSONValue(dimension.name), "kind": JSONValue(dimension.kind.rawValue),
            "before": JSONValue(dimension.units.before), "kept": .array(dimension.units.kept.map { JSONValue($0) }),
            "padded": .array(dimension.units.padded.map { JSONValue($0) }),
          ]
        }),
      "units": plan.counts.json, "contradictions": Contradictions(plan).json,
      "loaders": .array(
        plan.loaders.map { verdict in
          [
            "name": JSONValue(verdict.name), "loads": verdict.loads.map { JSONValue($0) } ?? .null,
            "reason": JSONValue(verdict.reason),
          ]
        }),
      "carrier": carrier.map { JSONValue($0) } ?? .null, "copy": JSONValue(isCopy),
      "dropped_layers": .array(droppedLayers.map { JSONValue($0) }),
      "dead_layers": .array(deadLayers.map { JSONValue($0) }), "dead_parts": .array(removals.parts.map(\.json)),
      "hidden": width?.json ?? .null,
      "left_behind": .array(leftBehind.map { JSONValue($0) }), "notes": .array(notes.map { JSONValue($0) }),
    ]
    if let vocabulary { object.set("vocabulary", to: vocabulary.json) }
    if let verification { object.set("verification", to: verification.json) }
    return .object(object)
  }

  private static func layer(_ plan: LayerPlan, _ before: LayerSummary, _ after: LayerSummary) -> JSONValue {
    func list(_ values: [Int]) -> JSONValue { .array(values.map { JSONValue($0) }) }
    let heads = plan.heads?.units
    return [
      "index": JSONValue(plan.index),
      "heads": [
        "before": JSONValue(before.heads), "kept": list(heads?.kept ?? Array(0..<before.heads)),
        "padded": list(heads?.padded ?? []), "constant": list(heads?.constant ?? []),
        "folded": list(heads?.folded.sorted() ?? []),
      ],
      "key_value_heads": [
        "before": JSONValue(before.keyValueHeads),
        "kept": list(plan.heads?.keptGroups ?? Array(0..<before.keyValueHeads)),
      ],
      "ffn": [
        "before": JSONValue(before.feedForward), "kept_count": JSONValue(after.feedForward),
        "padded_count": JSONValue(plan.neurons?.padded.count ?? 0),
        "constant_count": JSONValue(plan.neurons?.constant.count ?? 0),
        "folded_count": JSONValue(plan.neurons?.folded.count ?? 0),
      ],
    ]
  }

  /// The text that people read.
  public var text: String {
    var lines: [String] = []
    if isCopy {
      lines.append("nothing to remove: " + (output == nil ? "the output would be a faithful copy" : "a faithful copy"))
    }
    var table = TextTable(["", "#before", "#after", "#"])
    table.add(
      "parameters", humanCount(parameters.before), humanCount(parameters.after),
      change(parameters.before, parameters.after))
    table.add("bytes", humanBytes(bytes.before), humanBytes(bytes.after), change(bytes.before, bytes.after))
    lines.append(table.text)
    if !plan.layers.isEmpty { lines += ["", layerTable] }
    if !plan.dimensions.isEmpty { lines += ["", dimensionTable] }
    lines += ["", unitLine] + [Contradictions(plan).text].compactMap { $0 }
    if let width { lines.append(width.text) }
    lines += vocabulary?.lines ?? []
    lines += explanations + layerLines
    lines += ["", loaderTable]
    if let carrier { lines.append("  written as model_type \(carrier), which computes the same") }
    for file in leftBehind {
      lines.append("  not carried over: \(escapedForTerminal(file))")
    }
    lines += notes.map { "  note: " + escapedForTerminal($0) }
    if let verification { lines += ["", verification.text] }
    if let output { lines += ["", "wrote \(escapedForTerminal(output))"] }
    return lines.joined(separator: "\n")
  }

  private var layerTable: String {
    var table = TextTable(["layer", "#heads", "kept", "#fill", "#neurons", "#kept", "#fill"])
    for (plan, (before, after)) in zip(plan.layers, zip(layersBefore, layers)) {
      let heads = plan.heads?.units
      table.add(
        "\(plan.index)", "\(before.heads)", "\(after.heads): " + humanIndices(heads?.kept ?? Array(0..<before.heads)),
        "\(heads?.padded.count ?? 0)", "\(before.feedForward)", "\(after.feedForward)",
        "\(plan.neurons?.padded.count ?? 0)")
    }
    return table.text
  }

  private var dimensionTable: String {
    var table = TextTable(["units outside of layers", "kind", "#before", "#after", "#fill"])
    for dimension in plan.dimensions {
      table.add(
        escapedForTerminal(dimension.name), dimension.kind.rawValue, "\(dimension.units.before)",
        "\(dimension.units.after)", "\(dimension.units.padded.count)")
    }
    return table.text
  }

  private var unitLine: String {
    let counts = plan.counts
    return
      "  units: \(counts.requested) asked to go, \(counts.removed) removed (\(counts.dead) proved dead, \(counts.declared) declared by the mask)"
      + ", \(counts.padded) kept as fill, \(counts.constant) constant\(counts.folded > 0 ? " (\(counts.folded) of them folded)" : "")"
      + ", \(counts.rescaled) rescaled"
  }

  private var explanations: [String] {
    let counts = plan.counts
    var lines: [String] = []
    if counts.padded > 0 {
      lines.append(
        "  fill: units that asked to go but stay with zero weights, because counts must agree (--shape ragged removes them too) or one has to stay"
      )
    }
    if counts.folded > 0 { lines += [foldExplanation] }
    if counts.constant > counts.folded {
      lines.append(
        "  constant: the unit's weights are zero but a bias is not, so it adds the same vector for every token; kept")
    }
    if counts.void > 0 {
      lines.append(
        "  void: \(counts.void) units have weights that are not finite, so zeros prove nothing about them; kept")
    }
    return lines
  }

  private var loaderTable: String {
    var table = TextTable(["loader", "loads", "why"])
    for verdict in plan.loaders {
      table.add(verdict.name, verdict.loads.map { $0 ? "yes" : "no" } ?? "?", escapedForTerminal(verdict.reason))
    }
    return table.text
  }
}
