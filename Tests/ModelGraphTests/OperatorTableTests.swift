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
    #expect(
      name.domain != "" || OperatorVersions.first(of: name.name) != nil || OperatorTable.outside.contains(name.name))
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
    lines += overview(operators)
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

  /// Operators that exporters write into ONNX's own domain without ONNX having them.
  static let outside: Set = ["SimplifiedLayerNormalization"]

  /// One line for each operator: since when it is as it is, what may shrink, and by what its results are tested.
  private static func overview(_ operators: [any Operator]) -> [String] {
    let tests = TestCounts()
    var lines = [
      "## All of them", "",
      "Versions are those of the operator set at which an operator changed, from 7 on (before that the one that holds at 7); a node",
      "of any version in between is read by the last one before it. *Backend*: passing tests of the ONNX backend suite with this operator",
      "alone; *runtime*: committed models with ONNX Runtime's results; *reference*: committed cases of the onnx package's evaluator.",
      "", "| operator | versions | axes | backend | runtime | reference |", "|---|---|---|---:|---:|---:|",
    ]
    for item in operators.sorted(by: { ($0.name.domain, $0.name.name) < ($1.name.domain, $1.name.name) }) {
      let all = item.name.domain.isEmpty ? OperatorVersions.table[item.name.name] ?? [] : []
      let early = all.last { $0 <= 7 }.map { [$0] } ?? []
      let versions = (early + all.filter { $0 > 7 }).map(String.init).joined(separator: ", ")
      let counts = [tests.backend, tests.runtime, tests.reference].map { $0["\(item.name)"].map(String.init) ?? "" }
      let cells = ["\(item.name)", versions, axes(item.documentation.axes)] + counts
      lines.append("| " + cells.map(cell).joined(separator: " | ") + " |")
    }
    return lines + [""]
  }

  /// The first sentence of an axis rule.
  private static func axes(_ text: String) -> String {
    text.range(of: ". ").map { String(text[..<$0.lowerBound]) + "." } ?? text
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

/// How many tests an operator has, read from the lists that other tests write and read.
private struct TestCounts {
  var backend: [String: Int] = [:]
  var runtime: [String: Int] = [:]
  var reference: [String: Int] = [:]

  init() {
    let root = OperatorTable.file.deletingLastPathComponent().deletingLastPathComponent()
    let list = root.appendingPathComponent("formats/onnx-backend-tests.md")
    let text = (try? String(contentsOf: list, encoding: .utf8)) ?? ""
    var isRuntime = false
    for line in text.split(separator: "\n") {
      if line.hasPrefix("## ") { isRuntime = line.contains("ONNX Runtime") }
      let parts = line.split(separator: "`")
      guard line.hasPrefix("- `"), parts.count == 3, let count = Int(parts[2].dropFirst(2)) else { continue }
      if isRuntime { runtime[String(parts[1])] = count } else { backend[String(parts[1])] = count }
    }
    struct Cases: Decodable {
      struct Case: Decodable { var op: String }
      var cases: [Case]
    }
    let file = root.appendingPathComponent("Tests/GraphExecutionTests/ReferenceCases.json")
    let cases = (try? Data(contentsOf: file)).flatMap { try? JSONDecoder().decode(Cases.self, from: $0) }?.cases ?? []
    for item in cases { reference[item.op, default: 0] += 1 }
  }
}
