import PollardBase

/// Writes elements or slices of one operand into another at places that a third one names.
struct Scatter: Operator {
  let name: OperatorName
  let version: Int
  let formula: String

  var requiredInputs: Int { 3 }
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = x`, then `\(formula)`.", shapes: "x, y: `[…]`, equal; indices, updates: as the definition says.",
      axes: "Every axis is pinned.", zeros: "Unknown unless all of x and all updates are zero.",
      source: "ONNX \(name)-\(version)", family: "Writing at places named by indices")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    for axis in 0..<(context.rank(0) ?? 0) {
      context.unify(.input(0, axis), .output(0, axis))
      context.pin(.input(0, axis), .gathered)
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let updates = try context.state(2), let shape = context.resultShape() else {
      return
    }
    let reduction = context.node.string("reduction") ?? "none"
    let (state, number) = TokenState.join(x.join(), updates.join())
    let isKept = state == .zero && reduction != "add" || reduction == "none" || state != .constant
    context.set(
      0, isKept ? TokenState(shape: shape, all: state, number: number) : TokenState(shape: shape, all: .unknown))
  }

  static let all = [
    Scatter(
      name: OperatorName("ScatterElements"), version: 18, formula: "y[…, indices[…, i, …], …] = updates[…, i, …]"),
    Scatter(name: OperatorName("ScatterND"), version: 18, formula: "y[indices[i…, :]] = updates[i…]"),
    Scatter(name: OperatorName("Scatter"), version: 9, formula: "y[…, indices[…, i, …], …] = updates[…, i, …]"),
  ]
}
