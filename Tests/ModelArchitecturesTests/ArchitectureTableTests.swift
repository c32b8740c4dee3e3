import Foundation
import ModelArchitectures
import ModelGraph
import Testing

@Suite("The architecture table")
struct ArchitectureTableTests {
  @Test("in formats/architectures.md is what the registry says (POLLARD_RECORD=1 writes it again)")
  func isCurrent() throws {
    let text = try ArchitectureTable.text()
    let file = ArchitectureTable.file
    if ProcessInfo.processInfo.environment["POLLARD_RECORD"] == "1" {
      try Data(text.utf8).write(to: file, options: .atomic)
    }
    let found = String(decoding: try Data(contentsOf: file), as: UTF8.self)
    let difference = zip(found.split(separator: "\n"), text.split(separator: "\n")).first { $0 != $1 }
    #expect(found == text, "first line that differs: \(difference.map { "\($0.0)\n\($0.1)" } ?? "the last one")")
  }

  @Test("has a row for every loader that --for names")
  func isComplete() throws {
    for architecture in try ArchitectureRegistry.summaries() {
      let names = Set(architecture.loaders.map(\.loader))
      #expect(
        names == ["transformers-4", "transformers-5", "llama.cpp", "onnxruntime", "vllm"],
        "\(architecture.modelType)")
    }
  }
}

/// The text of formats/architectures.md.
enum ArchitectureTable {
  static var file: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../formats/architectures.md")
      .standardizedFileURL
  }

  private static let introduction = """
    # Architectures

    *Written by `Tests/ModelArchitecturesTests/ArchitectureTableTests.swift` from the registry; not edited by hand.*

    `model_type` is the key of `config.json` that chooses the architecture, a class is the first entry of `architectures`.
    Tensor names are accepted with and without the prefix. What keys are read and written is in
    [huggingface.md](huggingface.md).

    Units that can be removed: query heads (`heads`) and feed-forward neurons (`ffn`) everywhere; where query heads share
    key/value heads, a key/value head goes together with all of its query heads (`kv_groups`), or the same number of query
    heads goes from each group.


    """

  static func text() throws -> String {
    let summaries = try ArchitectureRegistry.summaries()
    var lines = introduction.split(separator: "\n", omittingEmptySubsequences: false).dropLast(1).map(String.init)
    lines += ["| model_type | prefix | attention | feed-forward | classes |", "|---|---|---|---|---|"]
    for item in summaries {
      lines.append(
        "| `\(item.modelType)` | \(item.basePrefix.isEmpty ? "" : "`\(item.basePrefix)`") | \(item.sharesKeyValueHeads ? "heads, kv_groups" : "heads") "
          + "| \(item.isGated ? "gated" : "plain") | \(item.classNames.map { "`\($0)`" }.joined(separator: ", ")) |")
    }
    lines += [
      "", "## What stock loaders take", "",
      "Numbers are those of a configuration in which every key has its class's default. *As* is the class the result is",
      "written for under `--retarget`. *Opens* is `?` where no test has seen the loader open such a result.", "",
    ]
    var done: Set<String> = []
    for item in summaries where !done.contains(item.modelType) {
      let same = summaries.filter { $0.loaders == item.loaders }.map(\.modelType)
      done.formUnion(same)
      lines += ["### \(same.map { "`\($0)`" }.joined(separator: ", "))", ""]
      lines += ["| loader | as | opens | heads | neurons | remark |", "|---|---|---|---|---|---|"]
      for row in item.loaders {
        lines.append(
          "| \(row.loader) | \(row.carrier.map { "`\($0)`" } ?? "") | \(row.opens.map { $0 ? "yes" : "no" } ?? "?") "
            + "| \(words(row.heads)) | \(words(row.feedForward)) | \(row.remark) |")
      }
      lines.append("")
    }
    while lines.last == "" { lines.removeLast() }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func words(_ capability: CountCapability) -> String {
    switch capability {
    case .fixed: "the original's count"
    case .uniform: "one count in all layers"
    case .uniformAlike: "one count in all layers, the same heads throughout a stack"
    case .uniformDividing(let total): "one count in all layers, a divisor of \(total)"
    case .perLayer: "each layer its own"
    }
  }
}
