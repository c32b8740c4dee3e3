import Foundation
import GraphExecution
import PollardBase
import Testing

@Suite("Operators of ONNX Runtime")
struct OperatorCaseTests {
  private static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Cases").path

  @Test(
    "An operator of com.microsoft gives what ONNX Runtime gives", arguments: [ComputingPrecision.declared, .double])
  func agreesWithRuntime(_ precision: ComputingPrecision) throws {
    let threads = ThreadPool(threadCount: 2)
    let cases = OperatorCase.all(in: Self.folder)
    #expect(cases.count >= 50)
    for test in cases {
      // Scores beside the filter value of -10000 have three digits in single precision.
      if precision == .double, test.name == "attention_no_key" { continue }
      do {
        for difference in try test.differences(on: threads, precision: precision) {
          Issue.record("\(test.name): \(difference)")
        }
      } catch {
        Issue.record("\(test.name): \(error)")
      }
    }
  }
}
