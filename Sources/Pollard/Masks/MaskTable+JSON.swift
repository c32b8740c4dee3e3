import GraphCompaction
import ModelArchitectures
import PollardBase

extension MaskTable {
  /// Reads lists of units under a verb, or a configuration's `pruned_heads`.
  ///
  ///     {"remove": {"heads": {"0": [1, 3]}, "ffn": {"0": [5]}}}
  ///     {"keep": {"kv_groups": {"2": [0, 1]}}}
  ///     {"remove": {"layers": [3, 7]}}
  ///     {"pruned_heads": {"0": [1, 3]}}
  ///     {"remove": {"hidden": [3, 17]}, "hidden_norm": "all"}
  ///     {"remove": {"tensors": [{"name": "layer1.conv1.weight", "axis": 0, "indices": [2, 5]}]}}
  ///
  /// A layer that is not named keeps everything.
  init(json: JSONValue, layers: [LayerSummary]) throws(CompactionError) {
    self.init(layerCount: layers.count)
    guard let object = json.objectValue else {
      throw CompactionError(.unknownMask, expected: "a JSON object", found: json.kindDescription)
    }
    if let pruned = object["pruned_heads"], object["remove"] == nil, object["keep"] == nil {
      try read(pruned, as: "heads", removes: true, layers: layers)
      return
    }
    let verbs = object.keys.filter { $0 == "remove" || $0 == "keep" }
    if let norm = object["hidden_norm"] { try readHiddenNorm(norm.stringValue ?? norm.kindDescription) }
    guard verbs.count == 1, let verb = verbs.first, object.count == (object["hidden_norm"] == nil ? 1 : 2),
      let kinds = object[verb]?.objectValue
    else {
      throw CompactionError(
        .maskVerb, expected: #"{"remove": {…}} or {"keep": {…}}"#,
        found: "the keys \(object.keys.joined(separator: ", "))")
    }
    for member in kinds.members { try read(member.value, as: member.key, removes: verb == "remove", layers: layers) }
  }

  private mutating func read(
    _ value: JSONValue, as kind: String, removes: Bool, layers: [LayerSummary]
  ) throws(CompactionError) {
    if kind == "tensors", removes { return try readTensors(value) }
    if kind == "hidden" { return try readChannels(value, removes: removes) }
    if kind == "layers" {
      guard let list = value.arrayValue, list.allSatisfy({ $0.intValue != nil }) else {
        throw CompactionError(
          .unknownMask, subject: .key(kind), expected: "a list of layer numbers", found: value.kindDescription)
      }
      self.layers = .list(list.compactMap(\.intValue), removes: removes)
      return
    }
    guard ["heads", "kv_groups", "ffn"].contains(kind) else {
      throw CompactionError(
        .unknownMask, subject: .key(kind), expected: "heads, kv_groups, ffn, layers, hidden, or tensors under remove",
        found: kind)
    }
    guard let entries = value.objectValue else {
      throw CompactionError(
        .unknownMask, subject: .key(kind), expected: "lists by layer number", found: value.kindDescription)
    }
    for entry in entries.members {
      // Another spelling, such as 00, would name a layer twice, and the later list would hide the earlier.
      guard let layer = Int(entry.key), String(layer) == entry.key, layers.indices.contains(layer) else {
        throw CompactionError(
          .maskIndex, subject: .key(entry.key), expected: "a layer from 0 to \(layers.count - 1)", found: entry.key)
      }
      let count: Int
      switch kind {
      case "heads": count = layers[layer].heads
      case "kv_groups": count = layers[layer].keyValueHeads
      default: count = layers[layer].feedForward
      }
      var mask = Array(repeating: Float(removes ? 1 : 0), count: count)
      guard let indices = entry.value.arrayValue else {
        throw CompactionError(
          .unknownMask, subject: .layer(layer), expected: "a list of unit numbers", found: entry.value.kindDescription)
      }
      for element in indices {
        guard let index = element.intValue, mask.indices.contains(index) else {
          throw CompactionError(
            .maskIndex, subject: .layer(layer), expected: "\(kind) from 0 to \(count - 1)",
            found: element.serialized(.compact))
        }
        mask[index] = removes ? 0 : 1
      }
      switch kind {
      case "heads": heads[layer] = mask
      case "kv_groups": groups[layer] = mask
      default: feedForward[layer] = mask
      }
    }
  }

  /// Reads positions of axes of tensors, which stand for the units that have them.
  private mutating func readTensors(_ value: JSONValue) throws(CompactionError) {
    guard let entries = value.arrayValue else {
      throw CompactionError(
        .unknownMask, subject: .key("tensors"), expected: "a list of {name, axis, indices}",
        found: value.kindDescription)
    }
    for entry in entries {
      guard let name = entry["name"]?.stringValue, let axis = entry["axis"]?.intValue,
        let list = entry["indices"]?.arrayValue, entry.objectValue?.count == 3
      else {
        throw CompactionError(
          .unknownMask, subject: .key("tensors"), expected: #"{"name": …, "axis": …, "indices": […]}"#,
          found: entry.serialized(.compact))
      }
      let indices = list.compactMap(\.intValue)
      guard indices.count == list.count else {
        throw CompactionError(.maskIndex, subject: .tensor(name), expected: "whole numbers", found: "others")
      }
      tensors.append(TensorAxisMask(tensor: name, axis: axis, removed: indices))
    }
  }
}
