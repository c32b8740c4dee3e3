import PollardBase

/// Changes keys of a configuration, leaving the order and the number spelling of everything else.
struct ConfigurationEditor {
  private(set) var config: JSONValue

  init(_ config: JSONValue) { self.config = config }

  /// Sets a whole number; a value that is that number already keeps its spelling.
  mutating func set(_ key: String, _ value: Int) {
    if config[key]?.intValue != value { set(key, JSONValue(value)) }
  }

  /// Sets a key; a new key goes to its place in the alphabet when the others are sorted, else to the end.
  mutating func set(_ key: String, _ value: JSONValue) {
    guard case .object(var object) = config else { return }
    let keys = object.keys
    let isSorted = zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 }
    if object.position(of: key) != nil || !isSorted {
      object.set(key, to: value)
    } else {
      var members = object.members.map { (key: $0.key, value: $0.value) }
      members.insert((key: key, value: value), at: keys.firstIndex { key < $0 } ?? keys.count)
      object = JSONObject(members)
    }
    config = .object(object)
  }

  /// Sets a key that is absent.
  mutating func setIfAbsent(_ key: String, _ value: JSONValue) {
    if config[key] == nil { set(key, value) }
  }

  /// Merges newly removed heads into `pruned_heads`, numbered as before any removal; unchanged heads leave the key
  /// alone.
  ///
  /// - Throws: `cannotExpress` when a layer keeps no head.
  mutating func setPrunedHeads(_ change: ConfigurationChange, heads: Int) throws(FormatError) {
    guard change.changesHeads else { return }
    var kept: [[Int]] = []
    for (layer, indices) in zip(change.before, change.keptHeads) {
      if indices.isEmpty {
        throw FormatError(
          .cannotExpress, file: change.file, subject: .layer(layer.summary.index), expected: "at least one head",
          found: "none", remedy: "keep one head of the layer")
      }
      kept.append(indices.map { layer.originalHeads[$0] })
    }
    set("pruned_heads", PrunedHeads.value(keeping: kept, of: heads))
  }
}

extension ConfigurationChange {
  /// Refuses to write the result under another class.
  ///
  /// - Throws: `cannotExpress`.
  func refuseCarriers(_ known: [String] = []) throws(FormatError) {
    guard let carrier, !known.contains(carrier) else { return }
    throw FormatError(
      .cannotExpress, file: file, subject: .key("model_type"),
      expected: known.isEmpty ? "the original's own class" : "one of " + known.joined(separator: ", "),
      found: "\"\(carrier)\"")
  }
}
