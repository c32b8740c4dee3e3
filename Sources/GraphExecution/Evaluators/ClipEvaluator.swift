import ModelGraph
import PollardBase
import TensorKernels
import TensorStorage

/// Elements held between two bounds; where the lower one is the larger, the upper one counts.
func evaluateClip(_ context: EvaluationContext) throws -> Tensor {
  var result = try context.tensor(0)
  for (slot, attribute, name) in [(1, "min", "Max"), (2, "max", "Min")] {
    var bound = try context.optionalTensor(slot)
    if bound == nil, let value = context.node.float(attribute) {
      bound = try converted(Tensor(floats: [value], extents: []), to: result.type, context)
    }
    guard let bound else { continue }
    guard bound.elementCount == 1 else {
      throw context.failure(expected: "one number as a bound", found: "\(bound.extents)")
    }
    result = try combine(result, bound.reshaped([]), name, context)
  }
  return result
}
