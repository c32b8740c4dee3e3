import ModelGraph
import PollardBase
import TensorStorage

/// A window of a sum of cosines: `wₙ = a₀ - a₁ · cosine(2πn / N) + a₂ · cosine(4πn / N)`, N the size, or one less when it is symmetric.
///
/// Computed in double precision.
/// - Source: ONNX HannWindow-17, HammingWindow-17, BlackmanWindow-17.
func evaluateWindow(_ context: EvaluationContext, _ factors: [Double]) throws -> Tensor {
  let size = try context.integer(0)
  let type = context.node.integer("output_datatype", default: 1)
  guard let target = castTargets[type], target != .string else {
    throw context.failure(.unsupported, expected: "a type of numbers as output_datatype", found: "\(type)")
  }
  guard size >= 0 else { throw context.failure(expected: "a size of 0 or more", found: "\(size)") }
  let isPeriodic = context.node.integer("periodic", default: 1) != 0
  let step = 2 * Double.pi / Double(isPeriodic ? size : size - 1)
  let result = try context.memory.tensor(.f64, [size])
  let values = result.written(Double.self)
  for index in 0..<size {
    let angle = Double(index) * step
    values[index] = factors[0] - factors[1] * cosine(angle) + factors[2] * cosine(2 * angle)
  }
  return try cast(result, to: target, context)
}

extension EvaluatorTable {
  static let windows: [OperatorName: Evaluator] = [
    OperatorName("HannWindow"): { [try evaluateWindow($0, [0.5, 0.5, 0])] },
    OperatorName("HammingWindow"): { [try evaluateWindow($0, [25.0 / 46, 21.0 / 46, 0])] },
    OperatorName("BlackmanWindow"): { [try evaluateWindow($0, [0.42, 0.5, 0.08])] },
  ]
}
