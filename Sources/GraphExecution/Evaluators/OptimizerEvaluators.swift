import ModelGraph
import PollardBase
import TensorStorage

/// One step of a training algorithm for any number of tensors: operands are the rate, the number of steps before, then the tensors, their
/// gradients and their states, each of the lists as long as the first.
///
/// - Source: ONNX training Adagrad-1 (Duchi et al. 2011), Adam-1 (Kingma & Ba 2015), Momentum-1.
func evaluateOptimizer(_ context: EvaluationContext) throws -> [Tensor] {
  let node = context.node
  let lists = node.op.name == "Adam" ? 4 : 3
  let count = (context.operands.count - 2) / lists
  guard context.operands.count >= 2 + lists, (context.operands.count - 2) % lists == 0 else {
    throw context.failure(
      .illFormed, expected: "\(lists) lists of tensors", found: "\(context.operands.count) operands")
  }
  guard let rate = try context.tensor(0).doubles().first, let steps = try context.tensor(1).doubles().first else {
    throw context.failure(expected: "a rate and a number of steps", found: "nothing")
  }
  func number(_ name: String, _ value: Float) -> Double { Double(node.float(name) ?? value) }
  let decay = number("norm_coefficient", 0)
  var results: [[Tensor]] = Array(repeating: [], count: lists - 1)
  for index in 0..<count {
    let tensors = try (0..<lists).map { try context.tensor(2 + $0 * count + index) }
    guard tensors.allSatisfy({ $0.extents == tensors[0].extents }) else {
      throw context.failure(expected: "lists of equal shapes", found: "\(tensors.map(\.extents))")
    }
    let values = tensors.map { $0.doubles() }
    var updated = Array(values.dropLast())
    for place in values[0].indices {
      let x = values[0][place]
      let gradient = decay * x + values[1][place]
      switch node.op.name {
      case "Adagrad":
        let sum = values[2][place] + gradient * gradient
        let adjusted = rate / (1 + steps * number("decay_factor", 0))
        updated[0][place] = x - adjusted * gradient / (sum.squareRoot() + number("epsilon", 0))
        updated[1][place] = sum
      case "Adam":
        let (alpha, beta) = (number("alpha", 0.9), number("beta", 0.999))
        let mean = alpha * values[2][place] + (1 - alpha) * gradient
        let square = beta * values[3][place] + (1 - beta) * gradient * gradient
        let adjusted =
          steps > 0 ? rate * (1 - raised(beta, to: steps)).squareRoot() / (1 - raised(alpha, to: steps)) : rate
        let moved = x - adjusted * mean / (square.squareRoot() + number("epsilon", 0))
        updated[0][place] = (1 - number("norm_coefficient_post", 0)) * moved
        updated[1][place] = mean
        updated[2][place] = square
      default:
        let alpha = number("alpha", 0)
        let mean = alpha * values[2][place] + (steps > 0 ? number("beta", 1) : 1) * gradient
        let isNesterov = node.string("mode") == "nesterov"
        updated[0][place] = x - rate * (isNesterov ? gradient + alpha * mean : mean)
        updated[1][place] = mean
      }
    }
    for list in results.indices {
      let tensor = Tensor(doubles: updated[list], extents: tensors[0].extents)
      results[list].append(try converted(tensor, to: tensors[0].type, context))
    }
  }
  return results.flatMap { $0 }
}

extension EvaluatorTable {
  static let optimizers: [OperatorName: Evaluator] = {
    var table: [OperatorName: Evaluator] = [:]
    for name in ["Adagrad", "Adam", "Momentum"] {
      table[OperatorName(name, domain: "ai.onnx.preview.training")] = { try evaluateOptimizer($0) }
    }
    return table
  }()
}
