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
