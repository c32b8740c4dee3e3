import PollardBase
import TensorStorage

/// A residual sum followed by a normalisation over the last axis, as ONNX Runtime fuses them.
struct SkipNormalization: Operator {
  let name: OperatorName
  /// The slots of vectors along the normalised axis.
  let vectors: [Int]
  let formula: String

  let requiredInputs = 3
  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = \(formula)` with `z = x + skip + bias`; the fourth result is z.",
      shapes: "x, skip, y, z: `[…, C]`; scale and the others: `[C]`.",
      axes: "The last axis is pinned; the others are themselves.", zeros: "z is known where all its parts are.",
      source: "ONNX Runtime, \(name)-1")
  }

  /// The slot of the vector that is added before normalising.
  private var bias: Int { vectors.last ?? 3 }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    context.set(0, type)
    context.set(3, type)
    for slot in 1...2 {
      context.set(slot, ValueType(.f32, type.shape.map { $0.isEmpty ? [] : Array($0.dropLast()) + [1] }))
    }
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank > 0 else { return }
    context.pass(0)
    context.pass(0, to: 3)
    context.passBroadcasting(1)
    context.pin(.input(0, rank - 1), .norm)
    for slot in vectors where context.rank(slot) == 1 { context.unify(.input(slot, 0), .input(0, rank - 1)) }
    for slot in 1...2 where context.outputRank(slot) == rank {
      for axis in 0..<(rank - 1) { context.unify(.output(slot, axis), .input(0, axis)) }
    }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let shape = context.resultShape(3) else { return }
    var parts: [TokenState] = []
    for slot in [0, 1, bias] where context.node.input(slot) != nil {
      guard let state = try context.state(slot) else { return }
      parts.append(state)
    }
    let sum = TokenState.combined(parts, shape: shape) { elements in
      let worst = elements.map(\.0).max() ?? .zero
      return worst == .constant ? (.constant, elements.reduce(0) { $0 + $1.1 }) : (worst, 0)
    }
    if let sum { context.set(3, sum) }
  }

  static let all = [
    SkipNormalization(
      name: OperatorName("SkipLayerNormalization", domain: "com.microsoft"), vectors: [2, 3, 4],
      formula: "layer norm of z · scale + shift"),
    SkipNormalization(
      name: OperatorName("SkipSimplifiedLayerNormalization", domain: "com.microsoft"), vectors: [2, 3],
      formula: "z / √(mean z² + epsilon) · scale"),
  ]
}
