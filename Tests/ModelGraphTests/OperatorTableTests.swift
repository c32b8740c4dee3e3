import Foundation
import ModelGraph
import Testing

@Suite("The operator table")
struct OperatorTableTests {
  @Test("in formats/operators.md is what the operators say of themselves (POLLARD_RECORD=1 writes it again)")
  func isCurrent() throws {
    let text = OperatorTable.text
    let file = OperatorTable.file
    if ProcessInfo.processInfo.environment["POLLARD_RECORD"] == "1" {
      try Data(text.utf8).write(to: file, options: .atomic)
    }
    let found = String(decoding: try Data(contentsOf: file), as: UTF8.self)
    let difference = zip(found.split(separator: "\n"), text.split(separator: "\n")).first { $0 != $1 }
    #expect(found == text, "first line that differs: \(difference.map { "\($0.0)\n\($0.1)" } ?? "the last one")")
  }

  @Test("leaves no operator without a word", arguments: OperatorRegistry.all.map(\.name))
  func isComplete(name: OperatorName) {
    let text = OperatorRegistry.find(name).documentation
    for part in [text.summary, text.shapes, text.axes, text.zeros, text.source] { #expect(!part.isEmpty) }
    #expect(text.summary.hasSuffix("."))
  }
}

/// The text of formats/operators.md.
enum OperatorTable {
  static var file: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../formats/operators.md")
      .standardizedFileURL
  }

  private static let introduction = """
    # Operators

    *Written by `Tests/ModelGraphTests/OperatorTableTests.swift` from the operators' own documentation; not edited by hand.*

    A model is a graph whose words are ONNX operators. Each one states, beside its shapes, how its **axes** relate and what
    a **zero** becomes:

    - *passes*: an axis of the result is that axis of the operand. Positions can be removed from both together.
    - *contracted*: the axis is summed away. Removing a position whose term is zero changes nothing.
    - *pinned*: positions must stay, because removing one would change what the others give. So is everything that a rule
      does not mention, and every axis of an operator that is not in this list.
    - *zeros*: which elements of a result are certainly zero, or the same for every input, given what is certain of the
      operands.

    """

  static var text: String {
    var lines = introduction.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let operators = OperatorRegistry.all
    var start = 0
    while start < operators.count {
      let first = operators[start].documentation
      var end = start
      while !first.family.isEmpty, end + 1 < operators.count, operators[end + 1].documentation.family == first.family {
        end += 1
      }
      lines += first.family.isEmpty ? section(operators[start]) : table(Array(operators[start...end]))
      start = end + 1
    }
    while lines.last == "" { lines.removeLast() }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func table(_ operators: [any Operator]) -> [String] {
    let first = operators[0].documentation
    var lines = ["## \(first.family)", ""]
    lines += ["- Shapes: \(first.shapes)", "- Axes: \(first.axes)", ""]
    let common = operators.allSatisfy { $0.documentation.zeros == first.zeros }
    if common { lines.insert("- Zeros: \(first.zeros)", at: lines.count - 1) }
    lines.append(common ? "| operator | computes | source |" : "| operator | computes | zeros | source |")
    lines.append(common ? "|---|---|---|" : "|---|---|---|---|")
    for item in operators {
      let text = item.documentation
      let cells = ["\(item.name)", text.summary] + (common ? [] : [text.zeros]) + [text.source]
      lines.append("| " + cells.map(cell).joined(separator: " | ") + " |")
    }
    return lines + [""]
  }

  private static func section(_ item: any Operator) -> [String] {
    let text = item.documentation
    return [
      "## \(item.name)", "", text.summary, "", "- Shapes: \(text.shapes)", "- Axes: \(text.axes)",
      "- Zeros: \(text.zeros)", "- Source: \(text.source)", "",
    ]
  }

  private static func cell(_ text: String) -> String { text.replacingOccurrences(of: "|", with: "\\|") }
}
