import PollardBase
import TensorStorage

/// One number for each window of places, or for all places, of each channel.
struct Pooling: Operator {
  let name: OperatorName
  let formula: String
  let version: Int
  let isGlobal: Bool
  /// Whether a constant channel stays the constant, also next to padding.
  let keepsConstants: Bool

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y[b, c, p] = \(formula)` of \(isGlobal ? "all places" : "the places of a window") of channel c.",
      shapes: isGlobal ? "x: `[B, C, places…]`; y: `[B, C, 1…]`." : "x: `[B, C, places…]`; y: `[B, C, windows…]`.",
      axes: "Batch and channels are themselves; places are pinned.",
      zeros: "A channel that is zero stays zero" + (keepsConstants ? ", a constant one stays constant." : "."),
      source: "ONNX \(name)-\(version)", family: "Pooling")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    guard let type = context.type(0) else { return }
    guard let x = type.shape, x.count >= 2 else { return context.set(0, ValueType(type.element, nil)) }
    var result = Array(x[..<2])
    if isGlobal {
      result += x[2...].map { _ in Size(1) }
    } else if let window = Window(context.node, kernel: nil), window.kernel.count == x.count - 2 {
      for axis in 2..<x.count { result.append(window.extent(axis - 2, of: x[axis], context)) }
    } else {
      throw context.failure(expected: "a window of \(x.count - 2) axes", found: "\(context.node.attributes)")
    }
    context.set(0, ValueType(type.element, result))
    context.set(1, ValueType(.i64, result))
  }

  func relate(_ context: inout AxisContext) {
    guard let rank = context.rank(0), rank >= 2 else { return }
    for slot in context.node.outputs.indices where context.outputRank(slot) == rank {
      // Where the largest element was is counted over the whole tensor.
      if slot > 0 { continue }
      for axis in 0..<2 { context.unify(.input(0, axis), .output(slot, axis)) }
      for axis in 2..<rank { context.pin(.output(slot, axis), .reduced) }
    }
    for axis in 2..<max(rank, 2) { context.pin(.input(0, axis), .reduced) }
    if context.outputRank(1) == rank { context.pin(.input(0, 1), .reduced) }
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0), let shape = context.resultShape(), x.shape.count >= 2 else { return }
    var one = x.shape
    for axis in 2..<one.count { one[axis] = 1 }
    var channels = x.joining(Set(2..<one.count), shape: one)
    for index in channels.packed.indices where channels.packed[index] == .constant && !keepsConstants {
      channels.packed[index] = .unknown
      channels.packedConstants[index] = 0
    }
    if let result = TokenState.combined([channels], shape: shape, { $0[0] }) { context.set(0, result) }
  }

  static let all = [
    Pooling(name: OperatorName("MaxPool"), formula: "max", version: 22, isGlobal: false, keepsConstants: true),
    Pooling(name: OperatorName("AveragePool"), formula: "mean", version: 22, isGlobal: false, keepsConstants: false),
    Pooling(name: OperatorName("LpPool"), formula: "the p-norm", version: 22, isGlobal: false, keepsConstants: false),
    Pooling(
      name: OperatorName("GlobalAveragePool"), formula: "mean", version: 22, isGlobal: true, keepsConstants: false),
    Pooling(name: OperatorName("GlobalMaxPool"), formula: "max", version: 22, isGlobal: true, keepsConstants: true),
    Pooling(
      name: OperatorName("GlobalLpPool"), formula: "the p-norm", version: 22, isGlobal: true, keepsConstants: false),
  ]
}
