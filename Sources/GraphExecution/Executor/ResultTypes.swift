import ModelGraph
import PollardBase
import TensorStorage

/// The types that results are declared to have, where memory alone does not say it.
enum ResultTypes {
  /// Where a result's declared type comes from.
  private enum Source {
    /// From the operand of this slot, when it is held in the same memory type.
    case operand(Int)
    /// As `operand`, for the first and the fourth result; the others, moments of rows, are as they are in memory.
    case firstOfOperand(Int)
    /// The evaluator has said it.
    case evaluator
  }

  /// Everything that does not follow its first operand.
  private static let exceptions: [OperatorName: Source] = [
    OperatorName("Cast"): .evaluator, OperatorName("CastLike"): .evaluator, OperatorName("BitCast"): .evaluator,
    OperatorName("QuantizeLinear"): .evaluator, OperatorName("DequantizeLinear"): .evaluator,
    OperatorName("Constant"): .evaluator, OperatorName("ConstantOfShape"): .evaluator, OperatorName("If"): .evaluator,
    OperatorName("EyeLike"): .evaluator, OperatorName("QLinearMatMul"): .evaluator,
    OperatorName("QLinearConv"): .evaluator, OperatorName("MatMulInteger"): .evaluator,
    OperatorName("ConvInteger"): .evaluator, OperatorName("DynamicQuantizeLinear"): .evaluator,
    OperatorName("Bernoulli"): .evaluator, OperatorName("Identity"): .evaluator,
    OperatorName("LinearAttention"): .evaluator,
    OperatorName("FlexAttention", domain: "ai.onnx.preview"): .evaluator,
    OperatorName("MelWeightMatrix"): .evaluator, OperatorName("Where"): .operand(1), OperatorName("OneHot"): .operand(2),
    OperatorName("LayerNormalization"): .firstOfOperand(0),
    OperatorName("SkipLayerNormalization", domain: "com.microsoft"): .firstOfOperand(0),
    OperatorName("SkipSimplifiedLayerNormalization", domain: "com.microsoft"): .firstOfOperand(0),
    OperatorName("SimplifiedLayerNormalization"): .firstOfOperand(0),
    OperatorName("EmbedLayerNormalization", domain: "com.microsoft"): .operand(2),
    OperatorName("GatherBlockQuantized", domain: "com.microsoft"): .operand(2),
  ]

  /// Rounds the results of a node to the types they are declared to have.
  static func rounded(_ results: [Tensor], of context: EvaluationContext) throws -> [Tensor] {
    // What nodes of a body give has been rounded there.
    if !context.bodies.isEmpty { return results }
    let slot: Int
    var exact: ClosedRange<Int>?
    switch exceptions[context.node.op] ?? .operand(0) {
    case .evaluator: return results
    case .operand(let operand): slot = operand
    case .firstOfOperand(let operand): (slot, exact) = (operand, 1...2)
    }
    guard slot < context.operands.count, let operand = context.operands[slot] else { return results }
    let declared: ElementType
    switch operand {
    case .tensor(let tensor): declared = tensor.declaredType
    case .weight(let weight): declared = weight.type
    }
    guard let held = declared.computed(in: context.memory.precision), held != declared else { return results }
    return try results.enumerated().map { index, result in
      guard exact?.contains(index) != true, result.type == held, result.declaredType == held else { return result }
      return try result.rounded(to: declared, context.memory)
    }
  }
}
