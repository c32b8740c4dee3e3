import PollardBase

/// Division of each element by a measure of its neighbours along some axes, which keeps zeros.
struct AxisNormalization: Operator {
  let name: OperatorName
  let formula: String
  let version: Int

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)`.", shapes: "x, y: `[…]`, equal.",
      axes: "Every axis is itself; the normalised one is pinned.", zeros: "Zero stays zero.",
      source: "ONNX \(name)-\(version)")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let axis = name.name == "LRN" ? 1 : context.axis(default: -1, rank: rank),
      axis < rank
    else { return }
    context.pass(0)
    context.pin(.input(0, axis), .norm)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var x = try context.state(0),
      let axis = name.name == "LRN" ? 1 : context.axis(default: -1, rank: x.shape.count)
    else { return }
    if x.worst == .poisoned || name.name != "LRN" {
      // A row of zeros divided by its norm is not a number: it is taken as zero, as runtimes give it, only where the rest is finite.
      x = x.holding([axis])
    }
    x = x.withoutConstants
    if x.worst == .poisoned { x = TokenState(shape: x.shape, all: .poisoned) }
    context.set(0, x)
  }

  static let all = [
    AxisNormalization(
      name: OperatorName("LRN"), formula: "x / (bias + alpha / size · Σ x²)^beta over neighbouring channels",
      version: 13),
    AxisNormalization(name: OperatorName("LpNormalization"), formula: "x / the p-norm of x along `axis`", version: 22),
  ]
}
