import Foundation
import GraphExecution
import PollardBase
import Testing

@Suite("The ONNX backend tests")
struct BackendTests {
  private static let data = ProcessInfo.processInfo.environment["POLLARD_BACKEND_DATA"]
  private static let table = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../formats/onnx-backend-tests.md").standardizedFileURL

  @Test(
    "Every test of the list passes, and every test that passes is in the list (POLLARD_RECORD=1 writes it again)",
    .enabled(if: data != nil, "POLLARD_BACKEND_DATA names the folder that tools/peers backend prints"))
  func listIsCurrent() throws {
    let threads = ThreadPool(threadCount: 2)
    let cases = BackendCase.all(in: try #require(Self.data))
    #expect(cases.count == 1765, "the suite of onnx 1.22.0 has 1765 tests")
    var found = BackendTable()
    for test in cases { found.add(test, test.run(on: threads)) }
    for name in ["Cases", "ControlCases"] {
      let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: name).path(
        percentEncoded: false)
      for test in OperatorCase.all(in: folder) {
        for name in Set(try test.operators().map(\.description)) { found.cases[name, default: 0] += 1 }
      }
    }
    if ProcessInfo.processInfo.environment["POLLARD_RECORD"] == "1" {
      try found.text.write(to: Self.table, atomically: true, encoding: .utf8)
      return
    }
    let text = try String(contentsOf: Self.table, encoding: .utf8)
    let listed = BackendTable.passing(in: text)
    let passed = Set(found.passed)
    for (name, difference) in found.failed where listed.contains(name) { Issue.record("\(name): \(difference)") }
    #expect(listed.subtracting(passed).sorted() == [], "listed, but they do not pass")
    #expect(
      passed.subtracting(listed).sorted() == [], "they pass, but are not listed: record them with POLLARD_RECORD=1")
    if listed == passed { #expect(text == found.text, "the list is written anew with POLLARD_RECORD=1") }
  }

  @Test("A wrong result is found: the tolerance tells types, extents and numbers apart")
  func toleranceTellsApart() {
    let tolerance = BackendTolerance()
    func difference(_ a: [Float], _ b: [Float]) -> String? {
      tolerance.difference(.init(floats: a, extents: [a.count]), .init(floats: b, extents: [b.count]))
    }
    #expect(difference([1, .nan, .infinity], [1.0005, .nan, .infinity]) == nil)
    #expect(difference([1], [1.002]) != nil)
    #expect(difference([0], [1e-6]) != nil)
    #expect(difference([.infinity], [-.infinity]) != nil)
    #expect(difference([1, 2], [1]) != nil)
    #expect(tolerance.difference(.init(integers: [1], extents: [1]), .init(narrowIntegers: [1], extents: [1])) != nil)
    #expect(tolerance.difference(.init(integers: [1000], extents: []), .init(integers: [1001], extents: [])) != nil)
  }
}
