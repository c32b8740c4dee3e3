import PollardBase

/// A test of each element for being no finite number.
///
/// Elements that are certainly finite give false, which is zero; all others are unknown, and nothing is spoilt by them.
struct NumberTest: Operator {
  let name: OperatorName
  let formula: String
  let version: Int

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)`, element by element.", shapes: "x: `[…]`; y: its shape, truth values.",
      axes: "Every axis is itself.", zeros: "Zero where x is zero or constant.", source: "ONNX \(name)-\(version)")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    context.set(0, ValueType(.bool, context.shape(0)))
  }

  func relate(_ context: inout AxisContext) { context.pass(0) }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var x = try context.state(0) else { return }
    x.unitSumAxis = nil
    for index in x.packed.indices {
      x.packed[index] = x.packed[index] <= .constant ? .zero : .unknown
      x.packedConstants[index] = 0
    }
    context.set(0, x)
  }

  static let all = [
    NumberTest(name: OperatorName("IsNaN"), formula: "x is not a number", version: 20),
    NumberTest(name: OperatorName("IsInf"), formula: "x is infinite", version: 20),
  ]
}
