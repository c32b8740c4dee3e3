import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

func evaluateRange(_ context: EvaluationContext) throws -> Tensor {
  let start = try context.tensor(0)
  let limit = try context.tensor(1)
  let delta = try context.tensor(2)
  guard start.elementCount == 1, limit.elementCount == 1, delta.elementCount == 1 else {
    throw context.failure(expected: "three scalars", found: "\(start.extents), \(limit.extents), \(delta.extents)")
  }
  guard start.type == limit.type, start.type == delta.type else {
    throw context.failure(
      .typeMismatch, expected: "one element type", found: "\(start.type), \(limit.type), \(delta.type)")
  }
  if start.type == .bool { throw context.failure(.typeMismatch, expected: "numbers", found: "BOOL") }
  if start.type.isFloatingPoint {
    let (first, last, step) = (start.doubles()[0], limit.doubles()[0], delta.doubles()[0])
    guard let count = Int(exactly: max(((last - first) / step).rounded(.up), 0)) else {
      throw context.failure(.tooLarge, expected: "a countable range", found: "\(first)..<\(last) by \(step)")
    }
    let result = try context.memory.tensor(start.type, [count])
    for index in 0..<count {
      if start.type == .f32 {
        result.written(Float.self)[index] = Float(first) + Float(index) * Float(step)
      } else {
        result.written(Double.self)[index] = first + Double(index) * step
      }
    }
    return result
  }
  let (first, last, step) = (start.integers()[0], limit.integers()[0], delta.integers()[0])
  let (distance, overflow) =
    step > 0 ? last.subtractingReportingOverflow(first) : first.subtractingReportingOverflow(last)
  guard step != 0, step != .min, !overflow else {
    throw context.failure(.tooLarge, expected: "a countable range", found: "\(first)..<\(last) by \(step)")
  }
  let count = distance <= 0 ? 0 : Int((distance - 1) / abs(step)) + 1
  let result = try context.memory.tensor(start.type, [count])
  for index in 0..<count {
    let number = first &+ Int64(index) &* step
    if start.type == .i64 {
      result.written(Int64.self)[index] = number
    } else {
      result.written(Int32.self)[index] = Int32(truncatingIfNeeded: number)
    }
  }
  return result
}

extension EvaluatorTable {
  static let generators: [OperatorName: Evaluator] = [
    OperatorName("Range"): { [try evaluateRange($0)] }
  ]
}
