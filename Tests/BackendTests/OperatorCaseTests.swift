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
      // Scores beside the filter value of -10000 have three digits in single precision; and what lies within a rounding of the middle between
      // two codes gets the other one.
      if precision == .double, ["attention_no_key", "qlinear_concat"].contains(test.name) { continue }
      do {
        for difference in try test.differences(on: threads, precision: precision) ?? [] {
          Issue.record("\(test.name): \(difference)")
        }
      } catch {
        Issue.record("\(test.name): \(error)")
      }
    }
  }

  private static let random = ProcessInfo.processInfo.environment["POLLARD_OPERATOR_CASES"]

  @Test(
    "An operator of random operands gives what ONNX Runtime or the onnx package gives, in a share that only grows",
    .enabled(if: random != nil, "POLLARD_OPERATOR_CASES names the folder that tools/operator-differential writes"))
  func agreesWithEither() throws {
    let threads = ThreadPool(threadCount: 2)
    let cases = OperatorCase.all(in: try #require(Self.random))
    var others: [String] = []
    for test in cases {
      var notes: [String] = []
      for source in ["expected", "reference"] {
        do {
          let found = try test.differences(on: threads, precision: .rounded, source: source)
          if let found { notes.append(found.isEmpty ? "" : "\(source): \(found.joined(separator: "; "))") }
        } catch {
          notes.append("\(source): \(error)")
        }
      }
      if !notes.isEmpty, !notes.contains("") { others.append("\(test.name): \(notes.joined(separator: " | "))") }
    }
    for line in others { print(line) }
    print("\(others.count) of \(cases.count) random cases differ from every other program")
    #expect(Double(others.count) <= 0.02 * Double(cases.count))
  }
}
