import PollardBase
import TensorStorage

/// Rounds numbers to small integers: `round(x / scale) + zero point`, one scale for all, for each position of an axis, or for each block.
struct QuantizeLinear: Operator {
  let name: OperatorName
  let requiredInputs = 2

  var documentation: OperatorDocumentation {
    OperatorDocumentation(
      summary: "`y = round(x / scale) + zero_point`, held in the range of the type.",
      shapes: "x, y: `[…]`, equal; scale, zero_point: scalar, `[C]` along `axis` (1), or blocked along it.",
      axes: "Every axis is itself and that of the scales; positions within a block are pinned.",
      zeros: "y is the zero point where x is zero.", source: "ONNX QuantizeLinear-24")
  }

  func infer(_ context: inout InferenceContext) throws(GraphError) {
    let given = Cast.types[context.node.integer("output_dtype", default: 0)]
    context.set(0, ValueType(context.element(2) ?? given ?? .u8, context.shape(0)))
  }

  func relate(_ context: inout AxisContext) {
    context.pass(0)
    context.relateScales([1, 2], of: 0)
  }

  func propagate(_ context: inout ZeroContext) throws(FormatError) {
    guard let x = try context.state(0) else { return }
    context.setCentred(0, x.withoutConstants, zeroPoint: context.node.input(2))
  }

  static let all = [
    QuantizeLinear(name: OperatorName("QuantizeLinear")),
    QuantizeLinear(name: OperatorName("QuantizeLinear", domain: "com.microsoft")),
  ]
}

extension AxisContext {
  /// States how scales and zero points of a quantised operand follow its axes.
  mutating func relateScales(_ slots: [Int], of slot: Int) {
    guard let rank = rank(slot), let place = axis(default: 1, rank: rank) ?? (rank > 0 ? rank - 1 : nil) else { return }
    let block = node.integer("block_size", default: 0)
    for scale in slots {
      guard let scaleRank = self.rank(scale), scaleRank > 0 else { continue }
      if scaleRank == 1, rank != 1 || block == 0 {
        unifyBroadcasting(.input(scale, 0), .input(slot, place))
        continue
      }
      guard scaleRank == rank else { continue }
      for axis in 0..<rank where axis != place { unify(.input(scale, axis), .input(slot, axis)) }
      let within = factor(Size(max(block, 1)))
      unify([.input(slot, place)], [.input(scale, place), within])
      pin(term: within, .undescribed)
    }
  }
}
