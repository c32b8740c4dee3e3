import GraphCompaction
import ModelArchitectures
import PollardBase

/// The record of a compaction: `compaction.json` beside the weights, or the entry `pollard.compaction` in an ONNX file.
///
/// It tells which original units the smaller model holds. It is a map, never an authority: a verifier derives every verdict again.
public struct Receipt: Sendable {
  /// The plan, with kept, padded and removed units in the original's numbering.
  public let layers: [LayerPlan]
  /// The plan for units outside of layers, such as channels of convolutions.
  public let dimensions: [DimensionPlan]
  /// What was left out of the original before the plan was made; the plan's layers are numbered without it.
  let removals: LayerRemovals
  /// The original's layers that were dropped on request.
  public var droppedLayers: [Int] { removals.dropped }
  /// The original's layers that were left out because they add nothing.
  public var deadLayers: [Int] { removals.dead }

  /// The residual channels; nil where none were removed.
  public let width: WidthPlan?
  /// The original's tokens that the model has; nil for all of them.
  public let vocabulary: TokenRanges?
  /// Tensors whose packed numbers were rounded anew because the cut goes through their blocks.
  public let roundedTensors: [String]
  /// The document as it was read, for a conversion to carry along.
  let document: JSONValue

  private static let sizeLimit = 256 << 20

  /// Reads a folder's receipt; nil when there is none.
  ///
  /// - Throws: `receiptMalformed` for one that makes no sense, and what reading the file throws.
  init?(folder: String) throws(FormatError) {
    let path = Paths.join(folder, receiptFileName)
    guard Directories.kind(of: path) == .file else { return nil }
    try self.init(JSONValue(file: path, limit: Self.sizeLimit), path: path)
  }

  /// Reads a receipt's text.
  ///
  /// - Parameter path: the file that holds it, for messages.
  /// - Throws: `receiptMalformed` for one that makes no sense.
  init(parsing text: [UInt8], path: String) throws(FormatError) {
    let value: JSONValue
    do throws(FormatError) { value = try JSONValue(parsing: text) } catch {
      throw FormatError(
        .receiptMalformed, file: path, subject: .key(receiptKey), expected: "a JSON object", found: error.description)
    }
    try self.init(value, path: path)
  }

  private init(_ value: JSONValue, path: String) throws(FormatError) {
    guard let list = value["layers"]?.arrayValue, value["schema"]?.intValue == 1 else {
      throw FormatError(
        .receiptMalformed, file: path, expected: "schema 1 with a list of layers", found: value.kindDescription,
        remedy: "delete the file; models are also compared without it")
    }
    var layers: [LayerPlan] = []
    for (index, entry) in list.enumerated() {
      do throws(FormatError) {
        let heads = try entry["heads"].flatMap { value throws(FormatError) -> UnitPlan? in try Self.units(value) }
        let neurons = try entry["ffn"].flatMap { value throws(FormatError) -> UnitPlan? in try Self.units(value) }
        var headPlan: HeadPlan?
        if let heads {
          guard let groups = entry["key_value_heads"]?["before"]?.intValue, groups > 0, heads.before % groups == 0
          else {
            throw FormatError(
              .receiptMalformed, subject: .layer(index), expected: "key_value_heads.before", found: "none that fits",
              remedy: "delete the file; models are also compared without it")
          }
          headPlan = HeadPlan(units: heads, groupsBefore: groups)
        }
        layers.append(LayerPlan(index: index, heads: headPlan, neurons: neurons))
      } catch { throw error.inFile(path) }
    }
    self.layers = layers
    var dimensions: [DimensionPlan] = []
    for entry in value["dimensions"]?.arrayValue ?? [] {
      do throws(FormatError) {
        guard let name = entry["name"]?.stringValue, let kind = entry["kind"]?.stringValue.flatMap(DimensionKind.init),
          let units = try Self.units(entry)
        else {
          throw FormatError(
            .receiptMalformed, subject: .key("dimensions"), expected: "name, kind and units", found: "others")
        }
        dimensions.append(DimensionPlan(name: name, kind: kind, units: units))
      } catch { throw error.inFile(path) }
    }
    self.dimensions = dimensions
    do throws(FormatError) { width = try value["hidden"].flatMap(Self.width) } catch { throw error.inFile(path) }
    removals = try Self.removals(value, path)
    vocabulary = try value["vocabulary"].map { value throws(FormatError) -> TokenRanges in
      guard let tokens = TokenRanges(receipt: value) else {
        throw FormatError(
          .receiptMalformed, file: path, subject: .key("vocabulary"), expected: "ascending ranges of ids below before",
          found: "others")
      }
      return tokens
    }
    roundedTensors = (value["rounded"]?.arrayValue ?? []).compactMap(\.stringValue)
    document = value
  }

  /// Checks that the counts are those of the model beside it.
  func requireFits(_ summaries: [LayerSummary]) throws(FormatError) {
    guard layers.count == summaries.count else {
      throw FormatError(
        .receiptMalformed, file: receiptFileName, expected: "\(summaries.count) layers", found: "\(layers.count)",
        remedy: "delete the file if the model was changed since")
    }
    for (plan, layer) in zip(layers, summaries) {
      let heads = plan.heads.map(\.units.after) ?? layer.heads
      let groups = plan.heads.map(\.keptGroups.count) ?? layer.keyValueHeads
      let neurons = plan.neurons.map(\.after) ?? layer.feedForward
      guard heads == layer.heads, groups == layer.keyValueHeads, neurons == layer.feedForward else {
        throw FormatError(
          .receiptMalformed, file: receiptFileName, subject: .layer(layer.index),
          expected:
            "\(layer.heads) heads, \(layer.keyValueHeads) key/value heads and \(layer.feedForward) neurons, as the tensors have",
          found: "\(heads), \(groups) and \(neurons)", remedy: "delete the file if the model was changed since")
      }
    }
  }

  private static func units(_ value: JSONValue) throws(FormatError) -> UnitPlan? {
    if value.isNull { return nil }
    guard let before = value["before"]?.intValue, before > 0, let kept = indices(value["kept"], below: before),
      let padded = indices(value["padded"], below: before), Set(padded).isSubset(of: kept)
    else {
      throw FormatError(
        .receiptMalformed, subject: .key("kept"), expected: "ascending indices below before", found: "others",
        remedy: "delete the file; models are also compared without it")
    }
    let constant = (indices(value["constant"], below: before) ?? []).filter(Set(kept).contains)
    return UnitPlan(
      before: before, kept: kept, padded: padded, removed: try folded(value["removed"], before, kept),
      constant: constant)
  }

  /// The units that a bias stands for. Of the others that are gone nothing need be known.
  private static func folded(
    _ value: JSONValue?, _ before: Int, _ kept: [Int]
  ) throws(FormatError) -> [RemovedUnit] {
    var result: [RemovedUnit] = []
    for group in value?.arrayValue ?? [] where group["class"]?.stringValue == RemovalClass.constant.rawValue {
      guard let units = indices(group["indices"], below: before), Set(units).isDisjoint(with: kept) else {
        throw FormatError(
          .receiptMalformed, subject: .key("removed"), expected: "ascending indices of units that are gone",
          found: "others", remedy: "delete the file; models are also compared without it")
      }
      let rule = group["rule"]?.stringValue ?? ""
      result += units.map { RemovedUnit(index: $0, reason: .constant, rule: rule) }
    }
    return result.sorted { $0.index < $1.index }
  }

  private static func width(_ value: JSONValue) throws(FormatError) -> WidthPlan? {
    guard let units = try units(value) else { return nil }
    guard let norm = value["norm"]?.stringValue.flatMap(HiddenNorm.init),
      let rewrite = value["rewrite"]?.stringValue.flatMap(WidthRewriteKind.init)
    else {
      throw FormatError(
        .receiptMalformed, subject: .key("hidden"), expected: "norm and rewrite", found: "others",
        remedy: "compact the original again")
    }
    return WidthPlan(units: units, norm: norm, rewrite: rewrite)
  }

  static func indices(_ value: JSONValue?, below limit: Int) -> [Int]? {
    guard let list = value?.arrayValue else { return nil }
    let numbers = list.compactMap(\.intValue)
    guard numbers.count == list.count, zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }),
      numbers.allSatisfy({ (0..<limit).contains($0) })
    else { return nil }
    return numbers
  }

  /// The receipt's text for a plan that is carried out.
  static func text(
    _ plan: CompactionPlan, parameters: (before: Int, after: Int), modelType: String,
    removals: LayerRemovals = LayerRemovals(),
    width: WidthPlan? = nil,
    vocabulary: TrimmedVocabulary? = nil,
    roundedTensors: [String] = []
  ) -> [UInt8] {
    let layers: [JSONValue] = plan.layers.map { layer in
      [
        "index": JSONValue(layer.index), "heads": layer.heads.map { units($0.units) } ?? .null,
        "key_value_heads": layer.heads.map {
          ["before": JSONValue($0.groupsBefore), "kept": .array($0.keptGroups.map { JSONValue($0) })]
        } ?? .null,
        "ffn": layer.neurons.map(units) ?? .null,
      ]
    }
    var document: JSONValue = [
      "schema": 1, "tool": JSONValue("pollard \(pollardVersion)"), "model_type": JSONValue(modelType),
      "parameters": ["before": JSONValue(parameters.before), "after": JSONValue(parameters.after)],
      "units": plan.counts.json, "contradictions": Contradictions(plan).json,
      "assumption": "activations of the masked model are finite", "layers": .array(layers),
    ]
    document = removals.noted(in: document)
    if let width {
      document = document.settingKey(
        "hidden", to: width.facts.reduce(units(width.units)) { $0.settingKey($1.key, to: $1.value) })
    }
    if !roundedTensors.isEmpty {
      document = document.settingKey("rounded", to: .array(roundedTensors.map { JSONValue($0) }))
    }
    if let vocabulary { document = document.settingKey("vocabulary", to: vocabulary.receipt) }
    if !plan.dimensions.isEmpty {
      document = document.settingKey(
        "dimensions",
        to: .array(
          plan.dimensions.map { dimension in
            units(dimension.units).settingKey("name", to: JSONValue(dimension.name))
              .settingKey("kind", to: JSONValue(dimension.kind.rawValue))
          }))
    }
    return document.serializedBytes(.compact) + [0x0a]
  }

  /// The receipt's text, as it is written.
  var bytes: [UInt8] { document.serializedBytes(.compact) + [0x0a] }

  /// Units that are gone, those of one class and rule together.
  private static func removed(_ units: [RemovedUnit]) -> JSONValue {
    var groups: [(reason: RemovalClass, rule: String, indices: [JSONValue])] = []
    for unit in units {
      if let place = groups.firstIndex(where: { $0.reason == unit.reason && $0.rule == unit.rule }) {
        groups[place].indices.append(JSONValue(unit.index))
      } else {
        groups.append((unit.reason, unit.rule, [JSONValue(unit.index)]))
      }
    }
    return .array(
      groups.map {
        ["class": JSONValue($0.reason.rawValue), "rule": JSONValue($0.rule), "indices": .array($0.indices)]
      })
  }

  private static func units(_ units: UnitPlan) -> JSONValue {
    [
      "before": JSONValue(units.before), "kept": .array(units.kept.map { JSONValue($0) }),
      "padded": .array(units.padded.map { JSONValue($0) }),
      "removed": removed(units.removed),
      "constant": .array(units.constant.map { JSONValue($0) }),
      "rescaled": .object(
        JSONObject(
          units.rescaled.sorted { $0.key < $1.key }.map { (key: String($0.key), value: JSONValue(Double($0.value))) })),
    ]
  }
}

extension DiagnosticCode where Domain == FormatDomain {
  /// The receipt of a compaction does not fit the model beside it, or makes no sense.
  public static let receiptMalformed = Self("receiptMalformed", "the receipt of the compaction does not fit")
}

/// The key of the receipt among an ONNX model's metadata.
let receiptKey = "pollard.compaction"

extension UnitCounts {
  /// The keys of `units` in reports.
  var json: JSONValue {
    [
      "requested": JSONValue(requested), "removed": JSONValue(removed), "dead": JSONValue(dead),
      "declared": JSONValue(declared), "constant": JSONValue(constant), "rescaled": JSONValue(rescaled),
      "padded": JSONValue(padded), "folded": JSONValue(folded),
    ]
  }
}
