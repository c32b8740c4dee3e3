import ModelImportance
import PollardBase

/// What a mask that was made removes.
public struct MaskReport: Report {
  /// The file that was written.
  public var output: String
  /// The file the scores were written to, when they were.
  public var scoresOutput: String?
  /// How units were scored, in words.
  public var scoring: String
  /// Heads removed and all heads, by layer.
  public var heads: [(removed: [Int], of: Int)]
  /// Neurons removed and all neurons, by layer.
  public var neurons: [(removed: Int, of: Int)]
  /// The scores by layer.
  public var scores: [UnitScores]
  /// Things worth knowing, in sentences.
  public var notes: [String]

  /// The document that `--json` prints.
  public var json: JSONValue {
    [
      "schema": reportSchema, "output": JSONValue(output),
      "scores_output": scoresOutput.map { JSONValue($0) } ?? .null, "scoring": JSONValue(scoring),
      "layers": .array(
        scores.indices.map { index in
          let (heads, neurons, scores) = (heads[index], neurons[index], scores[index])
          return [
            "index": JSONValue(index),
            "heads": [
              "before": JSONValue(heads.of), "removed": .array(heads.removed.map { JSONValue($0) }),
              "scores": .array(scores.heads.map { JSONValue($0) }),
              "group_scores": .array(scores.groups.map { JSONValue($0) }),
            ],
            "ffn": [
              "before": JSONValue(neurons.of), "removed_count": JSONValue(neurons.removed),
              "scores": scores.neurons.isEmpty
                ? .null
                : [
                  "count": JSONValue(scores.neurons.count), "least": JSONValue(scores.neurons.min() ?? 0),
                  "median": JSONValue(median(scores.neurons)), "most": JSONValue(scores.neurons.max() ?? 0),
                ],
            ],
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
    var parts = [table.text]
    if let scores = ScoreTable(self).text { parts += ["", scoring, "", scores] }
    let files = [output] + [scoresOutput].compactMap { $0 }
    return (parts + notes.map { "  note: " + $0 } + [""] + files.map { "wrote \(escapedForTerminal($0))" })
      .joined(separator: "\n")
  }
}

func median(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.sorted()[values.count / 2] }
