import PollardBase
import TensorStorage

/// Keeps a triangle of each matrix and makes the rest zero.
struct Trilu: Operator {
  let name = OperatorName("Trilu")
  let documentation = OperatorDocumentation(
    summary: "`y[…, i, j] = x[…, i, j]` where j - i ≥ k (`upper` 1) or j - i ≤ k, else 0.",
    shapes: "x, y: `[…, M, N]`, equal; k: scalar, 0 when left out.",
    axes: "The last two axes are pinned; the others are themselves.", zeros: "Zero stays zero.", source: "ONNX Trilu-14"
  )

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    if let type = context.type(0) { context.set(0, type) }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank >= 2 else { return }
    context.pass(0)
    for axis in [rank - 2, rank - 1] { context.pin(.input(0, axis), .undescribed) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard var x = try context.state(0) else { return }
    x.unitSumAxis = nil
    for index in x.packed.indices where x.packed[index] == .constant {
      x.packed[index] = .unknown
      x.packedConstants[index] = 0
    }
    context.set(0, x)
  }
}
