import Foundation
import GraphExecution
import PollardBase
import Testing

@Suite("Loops, sequences and optional values")
struct ControlCaseTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "ControlCases").path
  static let cases = OperatorCase.all(in: folder)

  @Test("A model of tools/make-control-flow-cases gives what ONNX Runtime gives", arguments: cases.map(\.name))
  func agreesWithRuntime(_ name: String) throws {
    let threads = ThreadPool(threadCount: 2)
    let test = try #require(Self.cases.first { $0.name == name })
    for precision in [ComputingPrecision.declared, .rounded, .double] {
      // Half floats are told from single precision only where they are rounded.
      if name == "loop_half_floats", precision != .rounded { continue }
      #expect(try test.differences(on: threads, precision: precision) == [], "\(precision)")
    }
  }
}
