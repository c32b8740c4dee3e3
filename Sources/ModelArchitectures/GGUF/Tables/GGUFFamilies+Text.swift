extension GGUFFamilies {
  /// The tables as Markdown, for `formats/gguf-models.md`.
  package static var tableText: String {
    var lines: [String] = []
    for family in all {
      lines += ["## \(family.modelType) as `\(family.architecture)`", ""]
      lines.append(
        "Read as `\(family.className)`. Of removed heads llama.cpp takes \(family.capability.heads.text), of neurons \(family.capability.feedForward.text)."
      )
      lines += ["", "| GGUF key | type | configuration |", "|---|---|---|"]
      for row in family.leadingMetadata + family.metadata {
        lines.append("| `\(row.fullKey(family.architecture))` | \(row.typeText) | \(row.sourceText) |")
      }
      lines += ["", "| GGUF tensor | checkpoint tensor | on the way to GGUF |", "|---|---|---|"]
      for row in family.tensors { lines.append(row.text("", "")) }
      for block in family.blocks {
        for row in block.rows { lines.append(row.text("\(block.prefix)N.", "\(block.checkpointPrefix)N.")) }
      }
      if !family.dropped.isEmpty {
        lines += ["", "Left out: " + family.dropped.map { "`\($0)`" }.joined(separator: ", ") + "."]
      }
      lines.append("")
    }
    return lines.joined(separator: "\n")
  }
}

extension GGUFCapability.Counts {
  fileprivate var text: String {
    switch self {
    case .fixed: "none"
    case .uniform: "one count for all layers"
    case .uniformAlike: "one count for all layers, the same heads in each"
    case .perLayer: "another count in each layer"
    }
  }
}

extension GGUFMetadataRow {
  fileprivate var typeText: String {
    if case .entries = source { return "several" }
    return type.description
  }

  fileprivate var sourceText: String {
    switch source {
    case .config(let keys, let value):
      keys.map { "`\($0)`" }.joined(separator: ", else ")
        + (value.map { ", else \($0.serialized(.compact))" } ?? "")
    case .fixed(let value): value.serialized(.compact)
    case .layers: configKey.map { "`\($0)`, or an array with one number for each layer" } ?? "counted in the tensors"
    case .computed, .entries: configKey.map { "computed; `\($0)`" } ?? "computed"
    case .fileType: "the mix of types"
    }
  }
}

extension GGUFTensorRow {
  fileprivate func text(_ prefix: String, _ checkpointPrefix: String) -> String {
    let own = names.map { "`\(prefix)\($0)`" }.joined(separator: " + ")
    let theirs = checkpointNames.map { "`\(checkpointPrefix)\($0)`" }.joined(separator: " + ")
    var steps = transforms.filter { $0 != .same }.map(\.text)
    if isAlternative { steps.append("only read") }
    return "| \(own) | \(theirs.isEmpty ? "none" : theirs) | \(steps.joined(separator: "; ")) |"
  }
}

extension GGUFTransform {
  fileprivate var text: String {
    switch self {
    case .same: ""
    case .rotaryQueries: "query rows in the order of rotated pairs"
    case .rotaryKeys: "key rows in the order of rotated pairs"
    case .transposed: "transposed"
    case .plusOne: "plus one"
    case .interleavedByHead: "rows by head taken apart into queries, keys, values"
    case .interleavedByGroup: "rows by group taken apart into queries, keys, values"
    case .withoutPaddingPositions:
      "without the rows up to the padding token's number, where the model counts from there"
    case .vocabularyRows: "without rows beyond the vocabulary"
    }
  }
}
