import ModelImportance

/// Scores as a table of layers by heads, removed ones in parentheses.
struct ScoreTable {
  private let report: MaskReport

  /// Columns that are printed side by side.
  private static let width = 16

  init(_ report: MaskReport) { self.report = report }

  /// The tables; nil where nothing has a score.
  var text: String? {
    let heads = report.scores.map(\.heads)
    var parts: [String] = []
    if heads.contains(where: { !$0.isEmpty }) {
      parts.append(table("head", heads) { report.heads[$0].removed.contains($1) })
    }
    if report.scores.contains(where: { !$0.groups.isEmpty }) {
      parts.append(
        table("group", report.scores.map(\.groups)) { layer, group in
          report.heads[layer].removed.contains(group * report.scores[layer].queriesPerGroup)
        })
    }
    if report.scores.contains(where: { !$0.neurons.isEmpty }) { parts.append(neurons) }
    return parts.isEmpty ? nil : parts.joined(separator: "\n\n")
  }

  private func table(_ kind: String, _ scores: [[Double]], _ isRemoved: (Int, Int) -> Bool) -> String {
    let count = scores.map(\.count).max() ?? 0
    let format = ScoreFormat(scores.joined())
    var blocks: [String] = []
    for start in stride(from: 0, to: count, by: Self.width) {
      let columns = start..<min(count, start + Self.width)
      var table = TextTable(["layer"] + columns.map { "#\(kind == "head" ? "h" : "g")\($0)" })
      for (layer, row) in scores.enumerated() where row.count > start {
        table.add(
          ["\(layer)"]
            + columns.map { column in
              guard row.indices.contains(column) else { return "" }
              let text = format.text(row[column])
              return isRemoved(layer, column) ? "(\(text))" : text + " "
            })
      }
      blocks.append(table.text)
    }
    return blocks.joined(separator: "\n")
  }

  private var neurons: String {
    let format = ScoreFormat(report.scores.map(\.neurons).joined())
    let isGrouped = report.scores.contains { $0.neuronGroup > 1 }
    var table = TextTable(["layer", isGrouped ? "#groups of neurons" : "#neurons", "#least", "#median", "#most"])
    for (layer, scores) in report.scores.enumerated() where !scores.neurons.isEmpty {
      table.add(
        "\(layer)", "\(scores.neurons.count)", format.text(scores.neurons.min() ?? 0),
        format.text(median(scores.neurons)), format.text(scores.neurons.max() ?? 0))
    }
    return table.text
  }
}

/// Numbers of a table with as many decimals as give the largest four digits.
private struct ScoreFormat {
  private var decimals = 0
  private var exponent = 0

  init(_ values: some Sequence<Double>) {
    let largest = values.lazy.filter(\.isFinite).map(\.magnitude).max() ?? 0
    guard largest > 0 else { return }
    var size = largest
    while size >= 10, exponent < 400 {
      size /= 10
      exponent += 1
    }
    while size < 1, exponent > -400 {
      size *= 10
      exponent -= 1
    }
    if (-4...6).contains(exponent) {
      decimals = max(0, 3 - exponent)
      exponent = 0
    } else {
      decimals = 3
    }
  }

  func text(_ value: Double) -> String {
    guard exponent != 0 else { return rounded(value, decimals) }
    var scaled = value
    for _ in 0..<exponent.magnitude { scaled = exponent > 0 ? scaled / 10 : scaled * 10 }
    return rounded(scaled, decimals) + "e\(exponent)"
  }
}
