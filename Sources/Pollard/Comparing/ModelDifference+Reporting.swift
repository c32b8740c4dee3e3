import PollardBase

extension ModelDifference {
  /// The document that `--json` prints.
  public var json: JSONValue {
    [
      "schema": reportSchema, "equal": JSONValue(isEmpty), "models": .array(sides.map(Self.json)),
      "layers": .array(layers.map(Self.json)), "configuration": .array(configuration.map(Self.json)),
      "tensors": [
        "same": JSONValue(sameTensors), "only_in_first": .array(onlyInFirst.map { JSONValue($0) }),
        "only_in_second": .array(onlyInSecond.map { JSONValue($0) }), "changed": .array(changed.map(Self.json)),
      ],
      "tokenizer": tokenizer.map { .array($0.map(Self.json)) } ?? .null,
    ]
  }

  private static func json(_ side: Side) -> JSONValue {
    [
      "path": JSONValue(side.path), "format": JSONValue(side.format),
      "architecture": side.architecture.map { JSONValue($0) } ?? .null, "parameters": JSONValue(side.parameters),
      "bytes": JSONValue(side.bytes), "layers": JSONValue(side.layerCount),
    ]
  }

  private static func json(_ change: Change) -> JSONValue {
    [
      "name": JSONValue(change.name), "first": change.first.map { JSONValue($0) } ?? .null,
      "second": change.second.map { JSONValue($0) } ?? .null,
    ]
  }

  private static func json(_ change: TensorChange) -> JSONValue {
    [
      "role": JSONValue(change.role), "dtype": .array(change.types.map { JSONValue($0) }),
      "shape": .array(change.shapes.map { .array($0.map { JSONValue($0) }) }),
      "bytes": .array(change.bytes.map { JSONValue($0) }),
    ]
  }

  /// The text that people read: runs of layers and of like tensors on one line.
  public var text: String {
    var lines = [sideTable]
    if isEmpty {
      return (lines + ["", "no difference in structure, configuration, tensors or tokenizer"]).joined(separator: "\n")
    }
    if !layers.isEmpty { lines += ["", "layers"] + Self.runs(layers).map { "  \($0)" } }
    if !configuration.isEmpty { lines += ["", "configuration"] + configuration.map { "  \(Self.line($0))" } }
    if !(onlyInFirst.isEmpty && onlyInSecond.isEmpty && changed.isEmpty) {
      lines += ["", "tensors, \(sameTensors) alike"]
      lines += Self.grouped(changed.map { ($0.role, Self.line($0)) }).map { "  \($0)" }
      lines += Self.grouped(onlyInFirst.map { ($0, "only in the first") }).map { "  \($0)" }
      lines += Self.grouped(onlyInSecond.map { ($0, "only in the second") }).map { "  \($0)" }
    }
    if let tokenizer, !tokenizer.isEmpty { lines += ["", "tokenizer"] + tokenizer.map { "  \(Self.line($0))" } }
    return lines.joined(separator: "\n")
  }

  private var sideTable: String {
    var table = TextTable(["model", "format", "architecture", "#layers", "#parameters", "#bytes"])
    for side in sides {
      table.add(
        escapedForTerminal(side.path), side.format, escapedForTerminal(side.architecture ?? "unknown"),
        "\(side.layerCount)", humanCount(side.parameters), humanBytes(side.bytes))
    }
    return table.text
  }

  private static func line(_ change: Change) -> String {
    "\(escapedForTerminal(change.name)): \(escaped(change.first)) -> \(escaped(change.second))"
  }

  private static func escaped(_ value: String?) -> String {
    guard let value else { return "none" }
    let text = value.unicodeScalars.count > 120 ? String(value.prefix(117)) + "..." : value
    return escapedForTerminal(text)
  }

  private static func line(_ change: TensorChange) -> String {
    func form(_ side: Int) -> String { "\(change.types[side])\(change.shapes[side])" }
    return "\(form(0)) -> \(form(1)), \(humanBytes(change.bytes[0])) -> \(humanBytes(change.bytes[1]))"
  }

  /// Neighbouring layers with the same change on one line.
  private static func runs(_ changes: [Change]) -> [String] {
    var result: [String] = []
    var start = 0
    while start < changes.count {
      var end = start
      while end + 1 < changes.count, changes[end + 1].first == changes[start].first,
        changes[end + 1].second == changes[start].second
      {
        end += 1
      }
      let number = changes[end].name.drop { !$0.isNumber }
      let name = end == start ? changes[start].name : "\(changes[start].name)-\(number)"
      result.append(line(Change(name: name, first: changes[start].first, second: changes[start].second)))
      start = end + 1
    }
    return result
  }

  /// Tensors of all layers with the same text on one line: `layers.*.mlp.up_proj.weight (12): …`.
  private static func grouped(_ entries: [(role: String, text: String)]) -> [String] {
    var groups: [(pattern: String, text: String, roles: [String])] = []
    var places: [String: Int] = [:]
    for (role, text) in entries {
      let pattern = role.split(separator: ".", omittingEmptySubsequences: false)
        .map { $0.allSatisfy(\.isNumber) && !$0.isEmpty ? "*" : String($0) }.joined(separator: ".")
      let key = pattern + "\u{0}" + text
      if let place = places[key] {
        groups[place].roles.append(role)
      } else {
        places[key] = groups.count
        groups.append((pattern, text, [role]))
      }
    }
    return groups.map { group in
      let name = group.roles.count == 1 ? group.roles[0] : "\(group.pattern) (\(group.roles.count))"
      return "\(escapedForTerminal(name)): \(group.text)"
    }
  }
}
