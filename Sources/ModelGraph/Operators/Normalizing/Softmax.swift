import PollardBase
import TensorStorage

/// Exponentials divided by their sum along one axis, and the operators like it.
///
/// Below version 13 the operand is taken as a matrix: all axes from `axis` (1) on are summed over together.
struct Softmax: Operator {
  let name: OperatorName
  let formula: String

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)` along `axis`; below version 13 over all axes from `axis` on.",
      shapes: "x, y: `[…]`, equal.",
      axes: "Every axis is itself; the summed ones are pinned.",
      zeros: "Unknown; a row that is not finite stays so, but minus infinity is a mask.", source: "ONNX \(name)-13",
      family: "Softmax and the like")
  }

  /// The axes that are summed over together.
  private func axes<Context: NodeContext>(_ context: Context, rank: Int) -> [Int]? {
    if context.node.version >= 13 { return context.axis(default: -1, rank: rank).map { [$0] } }
    let axis = context.node.integer("axis", default: 1)
    // A vector has no axis 1: all of it is one row's axis then.
    guard axis >= -rank, axis <= rank else { return nil }
    return Array((axis < 0 ? axis + rank : axis)..<rank)
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), let axes = axes(context, rank: rank) else { return }
    context.pass(0)
    for axis in axes { context.pin(.input(0, axis), .softmax) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let axes = axes(context, rank: x.shape.count) else { return }
    var result = TokenState(shape: x.shape, all: .unknown)
    if zip(x.packed, x.packedConstants).contains(where: { $0 == .poisoned && $1 != -.infinity }) {
      var joined = x.shape
      for axis in axes { joined[axis] = 1 }
      // A row of masked and finite scores is finite, as long as one of them is.
      var rows = x.joining(Set(axes), shape: joined)
      for index in rows.packed.indices {
        let isFinite = rows.packed[index] < .poisoned || rows.packedConstants[index] == -.infinity
        rows.packed[index] = isFinite ? .unknown : .poisoned
        rows.packedConstants[index] = 0
      }
      result = TokenState.combined([rows], shape: x.shape) { $0[0] } ?? result
    }
    if name.name == "Softmax", axes.count == 1 { result.unitSumAxis = axes[0] }
    context.set(0, result)
  }

  static let all = [
    Softmax(name: OperatorName("Softmax"), formula: "e^x / Σ e^x"),
    Softmax(name: OperatorName("LogSoftmax"), formula: "x - ln Σ e^x"),
    Softmax(name: OperatorName("Hardmax"), formula: "1 at the first of the largest x, else 0"),
  ]
}
